// Package recipe turns a recipe's YAML and its template pictures into an *inspection.Recipe: it parses, validates with
// every fault named by line, field and remedy, computes the digest, and keeps a folder of recipe files in force while they
// are edited.
//
// It does not know how a recipe rules (that is inspection.Recipe.Judge), where revisions are stored (Revisions is its
// hook), which models exist, or what is inside a picture beyond its first bytes.
package recipe
