// Reads streams of requests with net/http. A line of input is a stream in base64; a line of output is what was found
// in it: {"messages": [{"method", "target", "body"}], "end": "refused" | "unfinished" | "closed"}. Bytes are characters.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
)

type message struct {
	Method string `json:"method"`
	Target string `json:"target"`
	Body   string `json:"body"`
}

type found struct {
	Messages []message `json:"messages"`
	End      string    `json:"end"`
}

func characters(text []byte) string {
	runes := make([]rune, len(text))
	for i, one := range text {
		runes[i] = rune(one)
	}
	return string(runes)
}

func endOf(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "unfinished"
	}
	return "refused"
}

func read(stream []byte) found {
	result := found{Messages: []message{}}
	reader := bufio.NewReader(bytes.NewReader(stream))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			result.End = endOf(err)
			return result
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			result.End = endOf(err)
			return result
		}
		result.Messages = append(result.Messages, message{
			characters([]byte(request.Method)), characters([]byte(request.RequestURI)), characters(body),
		})
		if request.Close {
			result.End = "closed"
			return result
		}
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		stream, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			panic(err)
		}
		output.Encode(read(stream))
	}
}
