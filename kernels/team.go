package kernels

import "github.com/seed-512d3d71/weft/internal/par"

// Team is the worker set that a kernel computes on. A nil Team is one thread.
type Team = par.Team

// Enter takes a Team of up to threads threads (0: all of the process's) whose
// workers stay hot until its Leave. Teams share the process's workers.
func Enter(threads int) *Team { return par.Enter(threads) }
