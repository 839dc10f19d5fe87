package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// v5 is a client of autopaho.
type v5 struct {
	mqtt    *autopaho.ConnectionManager
	came    chan message
	session bool
}

func openV5(asked job, with options) (client, error) {
	trust, err := asked.trust()
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(asked.URL)
	if err != nil {
		return nil, err
	}
	opened := &v5{came: make(chan message, 1000)}
	up, failed := make(chan bool, 1), make(chan error, 1)
	settings := autopaho.ClientConfig{
		ServerUrls:                    []*url.URL{server},
		TlsCfg:                        trust,
		KeepAlive:                     30,
		CleanStartOnInitialConnection: !with.kept,
		ConnectTimeout:                patience,
		ReconnectBackoff:              once,
		ConnectUsername:               asked.User,
		ConnectPassword:               []byte(with.password),
		OnConnectionUp: func(_ *autopaho.ConnectionManager, answer *paho.Connack) {
			up <- answer.SessionPresent
		},
		OnConnectError: func(err error) { failed <- err },
		ClientConfig: paho.ClientConfig{
			ClientID:          with.name,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){opened.take},
		},
	}
	if with.kept {
		settings.SessionExpiryInterval = 600
	}
	if with.will != "" {
		settings.WillMessage = &paho.WillMessage{Topic: with.will, Payload: []byte("gone"), QoS: 1}
	}
	opened.mqtt, err = autopaho.NewConnection(context.Background(), settings)
	if err != nil {
		return nil, err
	}
	select {
	case opened.session = <-up:
		return opened, nil
	case err = <-failed:
	case <-time.After(patience):
		err = errors.New("no CONNACK came")
	}
	var answer *autopaho.ConnackError
	if errors.As(err, &answer) {
		return nil, errors.Join(err, refused{answer.ReasonCode})
	}
	return nil, err
}

// once lets the first attempt begin at once, and there is no other within a test.
func once(attempt int) time.Duration {
	if attempt == 0 {
		return 0
	}
	return time.Hour
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (c *v5) take(got paho.PublishReceived) (bool, error) {
	c.came <- message{got.Packet.Topic, got.Packet.Payload, got.Packet.QoS, got.Packet.Retain}
	return true, nil
}

func (c *v5) resumed() bool { return c.session }

func (c *v5) incoming() <-chan message { return c.came }

func (c *v5) subscribe(topic string, qos byte) error {
	within, cancel := limited()
	defer cancel()
	_, err := c.mqtt.Subscribe(within, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: qos}}})
	return err
}

func (c *v5) publish(topic string, payload []byte, qos byte, retain bool) error {
	within, cancel := limited()
	defer cancel()
	_, err := c.mqtt.Publish(within, &paho.Publish{Topic: topic, Payload: payload, QoS: qos, Retain: retain})
	return err
}

func (c *v5) close() error {
	within, cancel := limited()
	defer cancel()
	return c.mqtt.Disconnect(within)
}
