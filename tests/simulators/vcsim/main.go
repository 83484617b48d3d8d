// A simulated vCenter or ESXi host: govmomi's simulator with our additions (library/), not VMware's product.
//
// The one promise: what a client may see of a server that is killed and started again with -state is what it saw before.
package main

import (
	"log"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	options := simulator.ParseOptions()
	if err := simulator.Simulate(options); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}
