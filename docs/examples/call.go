// Calls a service without a sidecar; Go and its standard library.
//
//	go run call.go KEYRING CALLEE METHOD URL [BODY_FILE]
//	go run call.go keyring.json npu-worker POST http://172.16.168.22:15006/api/process job.json
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

type keyring struct {
	Service  string `json:"service"`
	Outbound map[string]struct {
		Kid  string            `json:"kid"`
		Keys map[string]string `json:"keys"`
	} `json:"outbound"`
}

// sign adds the headers of one call; each call needs new ones, since its nonce is accepted once.
func sign(request *http.Request, body []byte, ring keyring, callee string) error {
	outbound := ring.Outbound[callee]
	key, err := base64.StdEncoding.DecodeString(outbound.Keys[request.URL.Hostname()])
	if err != nil || len(key) != 32 {
		return fmt.Errorf("no key for %s at %s", callee, request.URL.Hostname())
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}

	path := request.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	covered := [][2]string{
		{"@method", request.Method},
		{"@authority", callee},
		{"@path", path},
		{"@query", "?" + request.URL.RawQuery},
		{"x-service-id", ring.Service},
	}
	request.Host = callee
	request.Header.Set("X-Service-ID", ring.Service)
	if len(body) > 0 {
		digest := sha256.Sum256(body)
		field := "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
		request.Header.Set("Content-Digest", field)
		request.Header.Set("Content-Type", "application/json")
		covered = append(covered, [2]string{"content-digest", field}, [2]string{"content-type", "application/json"})
	}

	var names []string
	var base strings.Builder
	for _, component := range covered {
		names = append(names, `"`+component[0]+`"`)
		fmt.Fprintf(&base, "\"%s\": %s\n", component[0], component[1])
	}
	params := fmt.Sprintf(`(%s);created=%d;keyid="%s";nonce="%s";tag="countersign"`,
		strings.Join(names, " "), time.Now().Unix(), outbound.Kid, base64.RawURLEncoding.EncodeToString(nonce))
	base.WriteString(`"@signature-params": ` + params)

	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, base.String())
	request.Header.Set("Signature-Input", "svc="+params)
	request.Header.Set("Signature", "svc=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
	return nil
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 5 {
		log.Fatal("usage: call KEYRING CALLEE METHOD URL [BODY_FILE]")
	}
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var ring keyring
	if err := json.Unmarshal(file, &ring); err != nil {
		log.Fatal(err)
	}
	var body []byte
	if len(os.Args) > 5 {
		if body, err = os.ReadFile(os.Args[5]); err != nil {
			log.Fatal(err)
		}
	}
	request, err := http.NewRequest(os.Args[3], os.Args[4], bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	if err := sign(request, body, ring, os.Args[2]); err != nil {
		log.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode, string(answer))
	if response.StatusCode >= 400 {
		os.Exit(1)
	}
}
