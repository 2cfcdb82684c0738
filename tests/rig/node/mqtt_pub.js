// Publishes CloudEvents to an MQTT topic with MQTT.js and the SDK's binding, and prints each one when the broker has confirmed
// it. The SDK writes `datacontenttype` as a user property too.
//   --port --topic [--version 5|4] [--qos 1] [--mode binary|structured] [--data all|json|text|binary|none] [--count] [--start]
"use strict";

const mqtt = require("mqtt");
const { MQTT } = require("cloudevents");
const { event, fail, limit, options, show } = require("./common.js");

const args = options({ topic: "", version: "5", qos: "1" });
const client = mqtt.connect(`mqtt://127.0.0.1:${args.port}`, { protocolVersion: Number(args.version), reconnectPeriod: 0 });
client.on("error", (error) => fail(error.message));
limit(args, () => "not all confirmed");

client.on("connect", async () => {
  for (let index = args.start; index < args.start + args.count; index++) {
    const { made, attributes } = event(index, args.data);
    const message = args.mode === "binary" ? MQTT.binary(made) : MQTT.structured(made);
    const payload = args.mode === "binary" ? (message.body ?? Buffer.alloc(0)) : JSON.stringify(message.body);
    const wishes = { qos: Number(args.qos) };
    if (args.version === "5") {
      const pairs = Object.entries(message["User Properties"]).filter(([, value]) => value !== undefined);
      wishes.properties = pairs.length ? { userProperties: Object.fromEntries(pairs.map(([name, value]) => [name, String(value)])) } : {};
      if (message.PUBLISH["Content Type"]) {
        wishes.properties.contentType = message.PUBLISH["Content Type"];
      }
    }
    await client.publishAsync(args.topic, payload, wishes).catch((error) => fail(error.message));
    show(attributes, payload, { topic: args.topic });
  }
  await client.endAsync();
});
