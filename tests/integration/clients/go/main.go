// Eclipse Paho's two Go clients against the gateway, paho.mqtt.golang in MQTT 3.1.1 and autopaho in MQTT 5:
// `client check|hold` with the job as JSON on standard input (see test_client_libraries.py).
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	messages = 50
	patience = 20 * time.Second
)

// job is what the test asks for.
type job struct {
	URL      string `json:"url"`
	CA       string `json:"ca"`
	User     string `json:"user"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Topic    string `json:"topic"`
	Version  int    `json:"version"`
}

// message is one that came.
type message struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
}

// options say how a client connects.
type options struct {
	name     string
	password string
	kept     bool
	will     string
}

// client is what both libraries can.
type client interface {
	resumed() bool
	subscribe(topic string, qos byte) error
	publish(topic string, payload []byte, qos byte, retain bool) error
	incoming() <-chan message
	close() error
}

// refused is the reason that a CONNACK gave.
type refused struct{ code byte }

func (r refused) Error() string { return fmt.Sprintf("the server answered CONNECT with %d", r.code) }

func (j job) trust() (*tls.Config, error) {
	if j.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(j.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", j.CA)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

func (j job) open(with options) (client, error) {
	with.name = j.Name + "-" + with.name
	if with.password == "" {
		with.password = j.Password
	}
	if j.Version == 5 {
		return openV5(j, with)
	}
	return openV311(j, with)
}

func next(from client, what string) (message, error) {
	select {
	case got := <-from.incoming():
		return got, nil
	case <-time.After(patience):
		return message{}, fmt.Errorf("%s did not come within %s", what, patience)
	}
}

func (j job) credentials() error {
	_, err := j.open(options{name: "wrong", password: j.Password + "x"})
	var answer refused
	want := byte(4)
	if j.Version == 5 {
		want = 0x86
	}
	if !errors.As(err, &answer) || answer.code != want {
		return fmt.Errorf("a wrong password was answered with %v instead of %d", err, want)
	}
	return nil
}

func (j job) qos() error {
	hears, err := j.open(options{name: "hears"})
	if err != nil {
		return err
	}
	speaks, err := j.open(options{name: "speaks"})
	if err != nil {
		return err
	}
	for qos := byte(0); qos <= 2; qos++ {
		topic := fmt.Sprintf("%s/qos%d", j.Topic, qos)
		if err := hears.subscribe(topic, qos); err != nil {
			return err
		}
		for n := range messages {
			if err := speaks.publish(topic, []byte(strconv.Itoa(n)), qos, false); err != nil {
				return err
			}
		}
		for n := range messages {
			got, err := next(hears, fmt.Sprintf("message %d of QoS %d", n, qos))
			if err != nil {
				return err
			}
			if got.topic != topic || string(got.payload) != strconv.Itoa(n) || got.qos != qos || got.retain {
				return fmt.Errorf("%s %q of QoS %d instead of message %d of QoS %d", got.topic, got.payload, got.qos, n, qos)
			}
		}
	}
	return errors.Join(hears.close(), speaks.close())
}

func (j job) retained() error {
	with, err := j.open(options{name: "retains"})
	if err != nil {
		return err
	}
	topic := j.Topic + "/retained"
	if err := with.publish(topic, []byte("kept"), 1, true); err != nil {
		return err
	}
	if err := with.subscribe(topic, 1); err != nil {
		return err
	}
	got, err := next(with, "the retained message")
	if err != nil {
		return err
	}
	if string(got.payload) != "kept" || !got.retain {
		return fmt.Errorf("%q, retained: %t, instead of the retained message", got.payload, got.retain)
	}
	return errors.Join(with.publish(topic, nil, 1, true), with.close())
}

func (j job) large() error {
	with, err := j.open(options{name: "large"})
	if err != nil {
		return err
	}
	payload := make([]byte, 300_000)
	for n := range payload {
		payload[n] = byte(n % 251)
	}
	if err := with.subscribe(j.Topic+"/large", 2); err != nil {
		return err
	}
	if err := with.publish(j.Topic+"/large", payload, 2, false); err != nil {
		return err
	}
	got, err := next(with, "the large message")
	if err != nil {
		return err
	}
	if !bytes.Equal(got.payload, payload) {
		return fmt.Errorf("another payload of %d bytes came back", len(got.payload))
	}
	return with.close()
}

func (j job) session() error {
	topic := j.Topic + "/session"
	before, err := j.open(options{name: "session", kept: true})
	if err != nil {
		return err
	}
	if before.resumed() {
		return errors.New("there was a session before the first connection")
	}
	if err := errors.Join(before.subscribe(topic, 2), before.close()); err != nil {
		return err
	}
	speaks, err := j.open(options{name: "speaks"})
	if err != nil {
		return err
	}
	for n := range messages {
		if err := speaks.publish(topic, []byte(strconv.Itoa(n)), byte(1+2*n/messages), false); err != nil {
			return err
		}
	}
	after, err := j.open(options{name: "session", kept: true})
	if err != nil {
		return err
	}
	if !after.resumed() {
		return errors.New("the session was not there any more")
	}
	for n := range messages {
		got, err := next(after, fmt.Sprintf("message %d of the session", n))
		if err != nil {
			return err
		}
		if string(got.payload) != strconv.Itoa(n) {
			return fmt.Errorf("%q instead of %d after the session went on", got.payload, n)
		}
	}
	if err := errors.Join(speaks.close(), after.close()); err != nil {
		return err
	}
	clean, err := j.open(options{name: "session"})
	if err != nil {
		return err
	}
	return clean.close()
}

func (j job) hold() error {
	if _, err := j.open(options{name: "holds", will: j.Topic + "/will"}); err != nil {
		return err
	}
	fmt.Println("holds")
	select {}
}

func run() error {
	var asked job
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	if len(os.Args) > 1 && os.Args[1] == "hold" {
		return asked.hold()
	}
	steps := []struct {
		name string
		run  func() error
	}{
		{"credentials", asked.credentials},
		{"qos", asked.qos},
		{"retained", asked.retained},
		{"large", asked.large},
		{"session", asked.session},
	}
	for _, step := range steps {
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println(step.name)
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
