package main

import (
	"errors"
	"fmt"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// v311 is a client of paho.mqtt.golang.
type v311 struct {
	mqtt    mqtt.Client
	came    chan message
	session bool
}

func openV311(asked job, with options) (client, error) {
	trust, err := asked.trust()
	if err != nil {
		return nil, err
	}
	opened := &v311{came: make(chan message, 1000)}
	settings := mqtt.NewClientOptions().AddBroker(asked.URL).SetProtocolVersion(4).SetClientID(with.name).
		SetUsername(asked.User).SetPassword(with.password).SetCleanSession(!with.kept).SetAutoReconnect(false).
		SetConnectTimeout(patience).SetDefaultPublishHandler(opened.take)
	if trust != nil {
		settings.SetTLSConfig(trust)
	}
	if with.will != "" {
		settings.SetWill(with.will, "gone", 1, false)
	}
	opened.mqtt = mqtt.NewClient(settings)
	token := opened.mqtt.Connect()
	if err := wait(token, "CONNACK"); err != nil {
		if code := token.(*mqtt.ConnectToken).ReturnCode(); code > 0 && code < 6 {
			return nil, errors.Join(err, refused{code})
		}
		return nil, err
	}
	opened.session = token.(*mqtt.ConnectToken).SessionPresent()
	return opened, nil
}

func wait(token mqtt.Token, what string) error {
	if !token.WaitTimeout(patience) {
		return fmt.Errorf("%s did not come within %s", what, patience)
	}
	return token.Error()
}

func (c *v311) take(_ mqtt.Client, got mqtt.Message) {
	c.came <- message{got.Topic(), got.Payload(), got.Qos(), got.Retained()}
}

func (c *v311) resumed() bool { return c.session }

func (c *v311) incoming() <-chan message { return c.came }

func (c *v311) subscribe(topic string, qos byte) error {
	return wait(c.mqtt.Subscribe(topic, qos, nil), "SUBACK of "+topic)
}

func (c *v311) publish(topic string, payload []byte, qos byte, retain bool) error {
	return wait(c.mqtt.Publish(topic, qos, retain, payload), "acknowledgement of "+topic)
}

func (c *v311) close() error {
	c.mqtt.Disconnect(250)
	return nil
}
