// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Two Go proxies to compare with: `reverse` is httputil.ReverseProxy, `minimal` the least that a
// gateway does by hand. Both pick a version for the user and pool their connections.
package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
)

func version(user string) string {
	hash := fnv.New32a()
	io.WriteString(hash, user)
	switch place := hash.Sum32() % 100; {
	case place < 70:
		return "v1"
	case place < 90:
		return "v2"
	default:
		return "v2-beta"
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	kind, port, upstream := os.Args[1], os.Args[2], os.Args[3]
	target, err := url.Parse(upstream)
	if err != nil {
		panic(err)
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}
	var handler http.Handler
	if kind == "reverse" {
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = transport
		direct := proxy.Director
		proxy.Director = func(request *http.Request) {
			direct(request)
			request.Header.Set("X-Model-Version", version(request.Header.Get("X-User-Id")))
		}
		handler = proxy
	} else {
		client := &http.Client{Transport: transport}
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), 400)
				return
			}
			request, _ := http.NewRequest(r.Method, upstream+r.URL.Path, bytes.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("X-Model-Version", version(r.Header.Get("X-User-Id")))
			response, err := client.Do(request)
			if err != nil {
				http.Error(w, err.Error(), 502)
				return
			}
			defer response.Body.Close()
			w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
			w.WriteHeader(response.StatusCode)
			io.Copy(w, response.Body)
		})
	}
	fmt.Println(http.ListenAndServe("127.0.0.1:"+port, handler))
}
