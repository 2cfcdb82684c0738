// Subscribes to an MQTT topic filter with MQTT.js, prints `{"subscribed": [REASON CODE]}`, then each message as the SDK's binding
// reads it, with `topic`, `qos`, `retain` and, of MQTT 5, `properties`. Ends after --count messages (0: never).
//   --port --topic [--version 5|4] [--qos 1] [--count] [--seconds]
"use strict";

const mqtt = require("mqtt");
const { MQTT } = require("cloudevents");
const { fail, limit, options, say, show } = require("./common.js");

const args = options({ topic: "", version: "5", qos: "1" });
const client = mqtt.connect(`mqtt://127.0.0.1:${args.port}`, { protocolVersion: Number(args.version), reconnectPeriod: 0 });
client.on("error", (error) => fail(error.message));
let taken = 0;
if (args.count > 0) {
  limit(args, () => `${taken} of ${args.count} messages of ${args.topic}`);
}

client.on("connect", () => {
  client.subscribe(args.topic, { qos: Number(args.qos) }, (error, granted) => {
    if (error) {
      fail(error.message);
    }
    say({ subscribed: granted.map((grant) => grant.qos) });
  });
});

client.on("message", (topic, payload, packet) => {
  const properties = packet.properties ?? {};
  const headers = properties.userProperties ?? {};
  // Without a type of MQTT 5 the payload itself has to tell.
  const type = properties.contentType ?? (args.version === "4" ? "application/cloudevents+json" : undefined);
  const structured = (type ?? "").startsWith("application/cloudevents");
  const message = { PUBLISH: { "Content Type": type }, headers, body: structured ? payload.toString() : payload };
  const found = MQTT.isEvent(message) ? { ...MQTT.toEvent(message) } : undefined;
  if (found && !structured && type) {
    found.datacontenttype = type;
  }
  const named = { content_type: properties.contentType, user: Object.entries(headers) };
  show(found, payload, { topic, qos: packet.qos, retain: packet.retain, properties: named });
  taken += 1;
  if (taken === args.count) {
    client.end();
  }
});
