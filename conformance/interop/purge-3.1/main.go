// Command purge-3.1 lets distribution 3.1.1 purge all uploads of a directory, which the registry itself does
// only on a timer. It prints the directories of the uploads that were deleted, a line each.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: purge-3.1 DIR")
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
