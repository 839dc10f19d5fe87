"""A device in forty lines: publishes a reading every second, and answers commands.

python examples/first_device.py HOST PORT DEVICE PASSWORD
"""

import json
import math
import sys
import time

import paho.mqtt.client as mqtt

host, port, device, password = sys.argv[1:5]
state = {"level": 100}


def on_connect(client, _userdata, _flags, reason, _properties):
    """Subscribes each time, for a clean session forgets its subscriptions."""
    if reason.is_failure:
        sys.exit(f"refused: {reason}")
    client.subscribe(f"devices/{device}/commands/+", qos=1)


def on_message(client, _userdata, message):
    """Carries a command out and answers on its topic with /result."""
    command = json.loads(message.payload)
    if command["name"] == "set_level":
        state["level"] = command["parameters"]["level"]
        result = {"status": "succeeded", "output": state}
    else:
        result = {"status": "failed", "output": f"no command {command['name']}"}
    client.publish(f"{message.topic}/result", json.dumps(result), qos=1)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv5)
client.username_pw_set(device, password)
client.on_connect, client.on_message = on_connect, on_message
client.connect(host, int(port))
client.loop_start()
while True:
    reading = {**state, "temperature": round(60 + 35 * math.sin(time.time() / 5), 2)}
    client.publish(f"devices/{device}/telemetry", json.dumps(reading), qos=1)
    time.sleep(1)
