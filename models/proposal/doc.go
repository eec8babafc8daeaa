// Package proposal reads a foreign graph and proposes the manifest for it: what the file says is taken over, what is usual
// for its family is marked as assumed, and what nobody can know from the file is left for a person to state.
//
// It guesses nothing silently: every value has its standing and its reason, and a proposal with something left to state is
// no manifest that models.ParseManifest takes. It runs no graph and does not know where models are kept.
package proposal
