// Command labctl brings MLOps labs up on a local Kubernetes cluster.
package main

import (
	"os"

	"labctl.dev/labctl/pkg/app"
)

func main() { os.Exit(app.Main()) }
