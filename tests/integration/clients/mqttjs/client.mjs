// MQTT.js against the gateway: `node client.mjs check|hold` with the job as JSON on standard input (see test_client_libraries.py).
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import mqtt from 'mqtt'

const job = JSON.parse(readFileSync(0, 'utf8'))
const ca = job.ca ? readFileSync(job.ca) : undefined
const MESSAGES = 50

function must(condition, what) {
  if (!condition) throw new Error(what)
}

function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within 20 s`)), 20_000)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A connection whose messages are kept from its first moment on. */
class Client {
  constructor(name, options = {}) {
    this.messages = []
    this.waiting = null
    this.mqtt = mqtt.connect(job.url, {
      protocolVersion: job.version,
      username: job.user,
      password: job.password,
      clientId: name,
      ca,
      reconnectPeriod: 0,
      ...options,
    })
    this.mqtt.on('message', (topic, payload, packet) => {
      this.messages.push({ topic, payload, retain: packet.retain, qos: packet.qos })
      this.waiting?.()
    })
  }

  static async open(name, options) {
    const client = new Client(name, options)
    const [connack] = await within(once(client.mqtt, 'connect'), `CONNACK of ${name}`)
    client.resumed = connack.sessionPresent
    return client
  }

  async next(what) {
    while (this.messages.length === 0) {
      await within(new Promise((resolve) => { this.waiting = resolve }), what)
    }
    return this.messages.shift()
  }

  subscribe(topic, qos) {
    return within(this.mqtt.subscribeAsync(topic, { qos }), `SUBACK of ${topic}`)
  }

  publish(topic, payload, qos, retain = false) {
    return within(this.mqtt.publishAsync(topic, payload, { qos, retain }), `acknowledgement of ${topic}`)
  }

  close() {
    return within(this.mqtt.endAsync(), 'end')
  }
}

/** A session that outlives its connection. */
const kept = { clean: false, ...(job.version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}) }

const steps = {
  async credentials() {
    const wrong = new Client(`${job.name}-wrong`, { password: `${job.password}x` })
    const [error] = await within(once(wrong.mqtt, 'error'), 'refusal')
    const code = job.version === 5 ? 0x86 : 4
    must(error.code === code, `a wrong password was answered with ${error.code} instead of ${code}`)
  },

  async qos() {
    const [hears, speaks] = [await Client.open(`${job.name}-hears`), await Client.open(`${job.name}-speaks`)]
    for (const qos of [0, 1, 2]) {
      const topic = `${job.topic}/qos${qos}`
      await hears.subscribe(topic, qos)
      const sent = []
      for (let n = 0; n < MESSAGES; n += 1) sent.push(speaks.publish(topic, `${n}`, qos))
      for (let n = 0; n < MESSAGES; n += 1) {
        const message = await hears.next(`message ${n} of QoS ${qos}`)
        const got = [message.topic, message.payload.toString(), message.qos, message.retain]
        must(isDeepStrictEqual(got, [topic, `${n}`, qos, false]), `${got} instead of ${n} of QoS ${qos}`)
      }
      await Promise.all(sent)
    }
    await Promise.all([hears.close(), speaks.close()])
  },

  async retained() {
    const client = await Client.open(`${job.name}-retains`)
    const topic = `${job.topic}/retained`
    await client.publish(topic, 'kept', 1, true)
    await client.subscribe(topic, 1)
    const message = await client.next('the retained message')
    must(message.payload.toString() === 'kept' && message.retain, 'the retained message is another')
    await client.publish(topic, '', 1, true)
    await client.close()
  },

  async large() {
    const client = await Client.open(`${job.name}-large`)
    const topic = `${job.topic}/large`
    await client.subscribe(topic, 2)
    const payload = Buffer.alloc(300_000, Buffer.from(Array.from({ length: 251 }, (_, n) => n)))
    await client.publish(topic, payload, 2)
    must((await client.next('the large message')).payload.equals(payload), 'the large payload is another')
    await client.close()
  },

  async session() {
    const name = `${job.name}-session`
    const topic = `${job.topic}/session`
    const before = await Client.open(name, kept)
    must(!before.resumed, 'there was a session before the first connection')
    await before.subscribe(topic, 2)
    await before.close()
    const speaks = await Client.open(`${job.name}-speaks`)
    for (let n = 0; n < MESSAGES; n += 1) await speaks.publish(topic, `${n}`, n < MESSAGES / 2 ? 1 : 2)
    await speaks.close()
    const after = await Client.open(name, kept)
    must(after.resumed, 'the session was not there any more')
    for (let n = 0; n < MESSAGES; n += 1) {
      const got = (await after.next(`message ${n} of the session`)).payload.toString()
      must(got === `${n}`, `${got} instead of ${n} after the session went on`)
    }
    await after.close()
    await (await Client.open(name, { clean: true })).close()
  },
}

async function check() {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step()
    } catch (error) {
      throw new Error(`${name}: ${error.message}`, { cause: error })
    }
    console.log(name)
  }
}

async function hold() {
  const will = { topic: `${job.topic}/will`, payload: Buffer.from('gone'), qos: 1, retain: false }
  await Client.open(`${job.name}-holds`, { will })
  console.log('holds')
}

await (process.argv[2] === 'hold' ? hold() : check())
