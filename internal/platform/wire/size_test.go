package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOneLargeAtATime: a large answer is read while no other is; small ones are not held up.
func TestOneLargeAtATime(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	large := `{"data":{"a":"` + strings.Repeat("a", 2*freely)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := large
		if strings.HasSuffix(r.URL.Path, "/small") {
			text = `{"data":{"a":"`
		}
		_, _ = io.WriteString(w, text)
		if strings.HasSuffix(r.URL.Path, "/first") {
			w.(http.Flusher).Flush()
			close(begun)
			<-release
		}
		_, _ = io.WriteString(w, `"}}`)
	}))
	defer s.Close()
	client, answers := &http.Client{Transport: Transport()}, NewAnswers()
	ask := func(path string) chan error {
		done := make(chan error, 1)
		go func() {
			resp, err := client.Get(s.URL + "/" + path)
			if err != nil {
				done <- err
				return
			}
			defer resp.Body.Close()
			reading := answers.Begin()
			defer reading.End()
			_, err = reading.Read(t.Context(), resp, 8<<20)
			done <- err
		}()
		return done
	}
	first := ask("first")
	<-begun
	for end := time.Now().Add(10 * time.Second); len(answers.turn) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			close(release)
			t.Fatal("a large answer is read without the turn")
		}
	}
	second := ask("second")
	if err := <-ask("small"); err != nil {
		t.Errorf("a small one: %v", err)
	}
	select {
	case err := <-second:
		t.Errorf("a second large one was read beside the first (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(answers.turn) > 0 {
		t.Error("the turn was not given back")
	}
}
