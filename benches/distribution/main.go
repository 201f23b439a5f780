// Command bench-distribution does to distribution 3.1.1, called in process without a socket, what the side-by-side
// benchmark does to the embedded registry. It prints the wall time, the CPU time and the peak of resident memory
// of the work in one line: microseconds, microseconds, KiB.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

const (
	repository = "bench/app"
	tag        = "latest"
	mediaType  = "application/vnd.oci.image.manifest.v1+json"
)

type descriptor struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

type manifest struct {
	Config descriptor   `json:"config"`
	Layers []descriptor `json:"layers"`
}

// answer takes a response as a caller in the process does who wants nothing of it held in memory.
type answer struct {
	header http.Header
	status int
	body   io.Writer
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}
func (a *answer) Write(bytes []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(bytes)
}

type client struct{ app http.Handler }

func (c client) call(method, target string, body io.Reader, size int64, into io.Writer, want int) http.Header {
	request, err := http.NewRequest(method, target, body)
	check(err)
	request.RequestURI = request.URL.RequestURI()
	request.Host = "localhost"
	request.RemoteAddr = "127.0.0.1:1"
	request.ContentLength = size
	if method == http.MethodGet || method == http.MethodHead {
		request.Header.Set("Accept", mediaType)
	} else {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	if strings.Contains(target, "/manifests/") && method == http.MethodPut {
		request.Header.Set("Content-Type", mediaType)
	}
	a := &answer{header: http.Header{}, body: into}
	c.app.ServeHTTP(a, request)
	if a.status != want {
		fail(fmt.Errorf("%s %s: %d instead of %d", method, target, a.status, want))
	}
	return a.header
}

func (c client) push(source string, blob descriptor) {
	file, err := os.Open(path(source, blob.Digest))
	check(err)
	defer file.Close()
	started := c.call("POST", base()+"/blobs/uploads/", http.NoBody, 0, io.Discard, http.StatusAccepted)
	location, err := url.Parse(started.Get("Location"))
	check(err)
	query := location.Query()
	query.Set("digest", blob.Digest)
	location.RawQuery = query.Encode()
	c.call("PUT", location.String(), file, blob.Size, io.Discard, http.StatusCreated)
}

func (c client) pull(blob descriptor) {
	hasher := sha256.New()
	c.call("GET", base()+"/blobs/"+blob.Digest, nil, 0, hasher, http.StatusOK)
	verify(hasher, blob.Digest)
}

func verify(hasher hash.Hash, digest string) {
	if actual := "sha256:" + hex.EncodeToString(hasher.Sum(nil)); actual != digest {
		fail(fmt.Errorf("%s hashes to %s", digest, actual))
	}
}

func base() string { return "http://localhost/v2/" + repository }

func path(layout, digest string) string {
	return filepath.Join(layout, "blobs", strings.ReplaceAll(digest, ":", string(filepath.Separator)))
}

// image reads the one image of an OCI layout.
func image(layout string) ([]byte, manifest) {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	content, err := os.ReadFile(filepath.Join(layout, "index.json"))
	check(err)
	check(json.Unmarshal(content, &index))
	bytes, err := os.ReadFile(path(layout, index.Manifests[0].Digest))
	check(err)
	var image manifest
	check(json.Unmarshal(bytes, &image))
	return bytes, image
}

// each works on the blobs, so many at a time.
func each(blobs []descriptor, parallel int, work func(descriptor)) {
	var group sync.WaitGroup
	permits := make(chan struct{}, parallel)
	for _, blob := range blobs {
		permits <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			work(blob)
			<-permits
		}()
	}
	group.Wait()
}

func open(root string) client {
	logrus.SetLevel(logrus.ErrorLevel)
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  configuration.Parameters{"rootdirectory": root},
			"cache":       configuration.Parameters{"blobdescriptor": "inmemory"},
			"maintenance": configuration.Parameters{"uploadpurging": map[interface{}]interface{}{"enabled": false}},
		},
	}
	config.Log.Level = "error"
	config.Log.AccessLog.Disabled = true
	config.HTTP.Secret = "bench"
	return client{handlers.NewApp(context.Background(), config)}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func peak() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Maxrss
}

func measured(calls int64, work func()) {
	wall, used := time.Now(), cpu()
	work()
	fmt.Println(time.Since(wall).Microseconds()/calls, (cpu() - used).Microseconds()/calls, peak())
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: bench-distribution push|pull|head|manifest|get LAYOUT ROOT N")
		os.Exit(2)
	}
	work, layout, root := os.Args[1], os.Args[2], os.Args[3]
	var n int
	_, err := fmt.Sscan(os.Args[4], &n)
	check(err)
	bytes, image := image(layout)
	c := open(root)
	repeat := func(method, target string) {
		once := func() { c.call(method, target, nil, 0, io.Discard, http.StatusOK) }
		once()
		measured(int64(n), func() {
			for range n {
				once()
			}
		})
	}
	switch work {
	case "push":
		measured(1, func() {
			each(image.Layers, n, func(blob descriptor) { c.push(layout, blob) })
			c.push(layout, image.Config)
			c.call("PUT", base()+"/manifests/"+tag, strings.NewReader(string(bytes)), int64(len(bytes)), io.Discard, http.StatusCreated)
		})
	case "pull":
		measured(1, func() {
			c.call("GET", base()+"/manifests/"+tag, nil, 0, io.Discard, http.StatusOK)
			each(append(image.Layers, image.Config), n, c.pull)
		})
	case "head":
		repeat("HEAD", base()+"/blobs/"+image.Config.Digest)
	case "manifest":
		repeat("GET", base()+"/manifests/"+tag)
	case "get":
		repeat("GET", base()+"/blobs/"+image.Config.Digest)
	default:
		fail(fmt.Errorf("%s is no work", work))
	}
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench-distribution:", err)
	os.Exit(1)
}
