// Package scheduletest makes traces of arrivals and says what the usual ways of serving them would reach: a small
// discrete-event simulator that shares no code with the scheduler, to hold the scheduler against.
package scheduletest
