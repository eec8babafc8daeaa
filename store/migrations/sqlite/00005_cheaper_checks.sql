-- +goose Up
-- IN with a list in a CHECK builds a table for the list at each row that is written. The same words as alternatives cost a
-- comparison. No row is touched, only the text of the rule; the index that is made and dropped makes every connection
-- read it again.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (image_state IN (''none'', ''pending'', ''kept'', ''shed'', ''lost''))',
    'CHECK (image_state = ''pending'' OR image_state = ''shed'' OR image_state = ''kept'' OR image_state = ''none'' OR image_state = ''lost'')')
WHERE type = 'table' AND name = 'results';
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (effective_verdict IN (''UNDETERMINED'', ''PASS'', ''REVIEW'', ''FAIL''))',
    'CHECK (effective_verdict = ''PASS'' OR effective_verdict = ''FAIL'' OR effective_verdict = ''REVIEW'' OR effective_verdict = ''UNDETERMINED'')')
WHERE type = 'table' AND name = 'results';
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (verdict IN (''UNDETERMINED'', ''PASS'', ''REVIEW'', ''FAIL''))',
    'CHECK (verdict = ''PASS'' OR verdict = ''FAIL'' OR verdict = ''REVIEW'' OR verdict = ''UNDETERMINED'')')
WHERE type = 'table' AND name IN ('judgements', 'announced');
PRAGMA writable_schema = OFF;
CREATE INDEX rules_changed ON changes (revision);
DROP INDEX rules_changed;

-- +goose Down
SELECT 'this schema has no way back: restore the data directory from a backup';
