// Command purge-2.8 lets distribution 2.8.2 purge all uploads of a directory, which the registry itself does
// only on a timer. It prints the directories of the uploads that were deleted, a line each.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/docker/distribution/registry/storage"
	"github.com/docker/distribution/registry/storage/driver/filesystem"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: purge-2.8 DIR")
		os.Exit(1)
	}
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: os.Args[1], MaxThreads: 100})
	deleted, errs := storage.PurgeUploads(context.Background(), driver, time.Now().Add(time.Hour), true)
	for _, directory := range deleted {
		fmt.Println(directory)
	}
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(errs) > 0 {
		os.Exit(1)
	}
}
