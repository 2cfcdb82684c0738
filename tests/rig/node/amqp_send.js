// Sends CloudEvents to an AMQP 1.0 address with rhea, and prints each one with `outcome` when the peer has settled it. The SDK has no
// binding for AMQP: the attributes are written here, as strings or as AMQP's own types.
//   --port --address [--mode binary|structured] [--prefix cloudEvents:|cloudEvents_] [--types string|native] [--section data|value]
//   [--data all|json|text|binary|none] [--count] [--start] [--user] [--password]
"use strict";

const rhea = require("rhea");
const { event, fail, limit, options, show } = require("./common.js");

const args = options({ address: "", prefix: "cloudEvents:", types: "string", section: "data", user: "", password: "" });
const messages = [];
for (let index = args.start; index < args.start + args.count; index++) {
  messages.push(written(event(index, args.data)));
}
limit(args, () => "not all settled");

function written({ attributes, body, made }) {
  const bytes = args.mode === "binary" ? (body ?? Buffer.alloc(0)) : Buffer.from(JSON.stringify(made.toJSON()));
  const message = { durable: true, body: args.section === "data" ? rhea.message.data_section(bytes) : rhea.types.wrap_binary(bytes) };
  if (args.mode === "structured") {
    message.content_type = "application/cloudevents+json; charset=utf-8";
  } else {
    const { datacontenttype, ...named } = attributes;
    const pairs = Object.entries(named).map(([name, value]) => [args.prefix + name, typed(name, value)]);
    message.application_properties = Object.fromEntries(pairs);
    if (datacontenttype !== undefined) {
      message.content_type = datacontenttype;
    }
  }
  return { attributes, bytes, message };
}

function typed(name, value) {
  if (args.types === "string") {
    return String(value);
  }
  if (name === "time" || name === "atime") {
    return rhea.types.wrap_timestamp(Date.parse(value));
  }
  if (name === "abytes") {
    return rhea.types.wrap_binary(Buffer.from(value, "base64"));
  }
  return typeof value === "number" ? rhea.types.wrap_int(value) : value;
}

const how = { host: "127.0.0.1", port: args.port, reconnect: false };
if (args.user) {
  Object.assign(how, { username: args.user, password: args.password });
}
const container = rhea.create_container();
const connection = container.connect(how);
const sender = connection.open_sender(args.address);
let next = 0;
let settled = 0;
const sent = new Map();

container.on("sendable", () => {
  while (sender.sendable() && next < messages.length) {
    sent.set(sender.send(messages[next].message).id, messages[next]);
    next += 1;
  }
});

for (const outcome of ["accepted", "rejected", "released", "modified"]) {
  container.on(outcome, (context) => {
    const { attributes, bytes } = sent.get(context.delivery.id);
    show(attributes, bytes, { outcome });
    settled += 1;
    if (settled === messages.length) {
      connection.close();
    }
  });
}
for (const error of ["connection_error", "session_error", "sender_error", "disconnected"]) {
  container.on(error, (context) => {
    if (settled < messages.length) {
      fail(`${error}: ${context.connection.error ?? context.error ?? sender.error}`);
    }
  });
}
