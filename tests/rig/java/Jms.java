import jakarta.jms.*;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.*;
import org.apache.qpid.jms.JmsConnectionFactory;

/**
 * Sends and receives JMS messages over AMQP 1.0, and prints each one as a JSON object on one line:
 *   type         text, bytes, map, object, stream or message
 *   text | base64 | map | object | stream   the body; values are [JAVA TYPE, VALUE], binary in base64
 *   application  the JMS properties, as lists of [name, JAVA TYPE, value]
 *   id, correlation, reply_to, subject (JMSType), group, priority, durable, ttl_left (ms; 0: for ever), redelivered, delivery_count
 *   attributes   of a CloudEvent, as text, from properties with the prefix cloudEvents_
 *
 * --do send   --type text|bytes|map|object|stream|event|all [--count] [--property NAME=VALUE] [--subject] [--correlation]
 *             [--group] [--reply-to] [--priority] [--ttl MS] [--transient true]; `all` sends the six types in turn. An event has the
 *             attributes as properties of Java's own types, where JMS has one, and its data as bytes.
 * --do receive [--count] [--seconds] [--selector]; prints {"attached": ADDRESS} first, and acknowledges each message.
 * Both: --port, --address, [--topic true], [--durable NAME], [--client-id], [--user --password], [--mechanism SCRAM-SHA-256].
 */
public class Jms {
    static final byte[] BINARY = {0, (byte) 159, (byte) 146, (byte) 150, (byte) 255, 10, 13};
    static final String PREFIX = "cloudEvents_";
    static final Map<String, List<String>> ARGS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        for (int i = 0; i + 1 < args.length; i += 2) {
            ARGS.computeIfAbsent(args[i].substring(2), name -> new ArrayList<>()).add(args[i + 1]);
        }
        String url = "amqp://127.0.0.1:" + arg("port", null);
        if (arg("mechanism", null) != null) {
            url += "?amqp.saslMechanisms=" + arg("mechanism", null);
        }
        JmsConnectionFactory factory = new JmsConnectionFactory(arg("user", null), arg("password", null), url);
        try (Connection connection = factory.createConnection()) {
            if (arg("client-id", null) != null) {
                connection.setClientID(arg("client-id", null));
            }
            connection.start();
            try (Session session = connection.createSession(false, Session.CLIENT_ACKNOWLEDGE)) {
                String address = arg("address", null);
                Destination place = arg("topic", null) == null ? session.createQueue(address) : session.createTopic(address);
                if (arg("do", "").equals("send")) {
                    send(session, place);
                } else {
                    receive(session, place, address);
                }
            }
        }
    }

    static void send(Session session, Destination place) throws JMSException {
        try (MessageProducer producer = session.createProducer(place)) {
            producer.setDeliveryMode(arg("transient", null) == null ? DeliveryMode.PERSISTENT : DeliveryMode.NON_PERSISTENT);
            producer.setPriority(Integer.parseInt(arg("priority", "4")));
            producer.setTimeToLive(Long.parseLong(arg("ttl", "0")));
            List<String> types = List.of("text", "bytes", "map", "object", "stream", "event");
            for (int i = 0; i < Integer.parseInt(arg("count", "1")); i++) {
                String type = arg("type", "text");
                Message message = made(session, type.equals("all") ? types.get(i % types.size()) : type, i);
                for (String pair : ARGS.getOrDefault("property", List.of())) {
                    message.setStringProperty(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
                }
                message.setJMSType(arg("subject", null));
                message.setJMSCorrelationID(arg("correlation", null));
                if (arg("group", null) != null) {
                    message.setStringProperty("JMSXGroupID", arg("group", null));
                }
                if (arg("reply-to", null) != null) {
                    message.setJMSReplyTo(session.createQueue(arg("reply-to", null)));
                }
                producer.send(message);
                show(message);
            }
        }
    }

    static Message made(Session session, String type, int index) throws JMSException {
        switch (type) {
            case "text":
                return session.createTextMessage("line " + index + "\nünï ✓");
            case "bytes":
                return bytes(session, BINARY);
            case "map": {
                MapMessage message = session.createMapMessage();
                message.setString("text", "ünï");
                message.setInt("int", index);
                message.setLong("long", 1L << 40);
                message.setDouble("double", 2.5);
                message.setBoolean("bool", true);
                message.setBytes("bytes", BINARY);
                return message;
            }
            case "object":
                return session.createObjectMessage(new ArrayList<>(List.of("ünï", index)));
            case "stream": {
                StreamMessage message = session.createStreamMessage();
                message.writeString("ünï");
                message.writeInt(index);
                message.writeBoolean(true);
                message.writeBytes(BINARY);
                return message;
            }
            case "event": {
                BytesMessage message = bytes(session, ("{\"n\":" + index + "}").getBytes(StandardCharsets.UTF_8));
                message.setStringProperty(PREFIX + "specversion", "1.0");
                message.setStringProperty(PREFIX + "id", "rig-" + index);
                message.setStringProperty(PREFIX + "source", "/weft/rig?of=jms");
                message.setStringProperty(PREFIX + "type", "com.example.rig.made");
                message.setStringProperty(PREFIX + "subject", "größe ✓ 100% \"" + index + "\"");
                message.setStringProperty(PREFIX + "time", Instant.parse("2026-01-02T03:04:05.678Z").plusSeconds(index).toString());
                // JMS lets nobody set the content type of AMQP, which is the binding's place for it.
                message.setStringProperty(PREFIX + "datacontenttype", "application/json");
                message.setIntProperty(PREFIX + "anint", index - 2);
                message.setBooleanProperty(PREFIX + "abool", index % 2 == 0);
                return message;
            }
            default:
                throw new IllegalArgumentException(type);
        }
    }

    static BytesMessage bytes(Session session, byte[] data) throws JMSException {
        BytesMessage message = session.createBytesMessage();
        message.writeBytes(data);
        return message;
    }

    static void receive(Session session, Destination place, String address) throws JMSException {
        String selector = arg("selector", null);
        String durable = arg("durable", null);
        MessageConsumer consumer = durable == null
            ? session.createConsumer(place, selector)
            : session.createDurableConsumer((Topic) place, durable, selector, false);
        System.out.println(object("attached", json(address)));
        int count = Integer.parseInt(arg("count", "1"));
        long end = System.nanoTime() + Long.parseLong(arg("seconds", "60")) * 1_000_000_000L;
        for (int taken = 0; count == 0 || taken < count; taken++) {
            Message message = count == 0 ? consumer.receive() : consumer.receive(Math.max(1, (end - System.nanoTime()) / 1_000_000));
            if (message == null) {
                System.err.println(taken + " of " + count + " messages of " + address);
                System.exit(1);
            }
            show(message);
            message.acknowledge();
        }
        consumer.close();
    }

    static void show(Message message) throws JMSException {
        List<String> line = new ArrayList<>();
        body(message, line);
        Map<String, String> attributes = new TreeMap<>();
        List<String> application = new ArrayList<>();
        for (Enumeration<?> names = message.getPropertyNames(); names.hasMoreElements(); ) {
            String name = (String) names.nextElement();
            Object value = message.getObjectProperty(name);
            if (name.startsWith(PREFIX)) {
                attributes.put(name.substring(PREFIX.length()), json(String.valueOf(value)));
            }
            if (!name.startsWith("JMSX")) {
                application.add("[" + json(name) + "," + typed(value).substring(1));
            }
        }
        add(line, "application", "[" + String.join(",", application) + "]");
        if (attributes.containsKey("specversion")) {
            List<String> pairs = new ArrayList<>();
            attributes.forEach((name, value) -> add(pairs, name, value));
            add(line, "attributes", "{" + String.join(",", pairs) + "}");
        }
        add(line, "id", json(message.getJMSMessageID()));
        add(line, "correlation", json(message.getJMSCorrelationID()));
        add(line, "reply_to", json(message.getJMSReplyTo() == null ? null : message.getJMSReplyTo().toString()));
        add(line, "subject", json(message.getJMSType()));
        add(line, "group", json(message.getStringProperty("JMSXGroupID")));
        add(line, "priority", String.valueOf(message.getJMSPriority()));
        add(line, "durable", String.valueOf(message.getJMSDeliveryMode() == DeliveryMode.PERSISTENT));
        long expires = message.getJMSExpiration();
        add(line, "ttl_left", String.valueOf(expires == 0 ? 0 : expires - System.currentTimeMillis()));
        add(line, "redelivered", String.valueOf(message.getJMSRedelivered()));
        add(line, "delivery_count", json(message.getStringProperty("JMSXDeliveryCount")));
        System.out.println("{" + String.join(",", line) + "}");
    }

    static void body(Message message, List<String> line) throws JMSException {
        if (message instanceof TextMessage text) {
            add(line, "type", json("text"));
            add(line, "text", json(text.getText()));
        } else if (message instanceof BytesMessage bytes) {
            bytes.reset();
            byte[] data = new byte[(int) bytes.getBodyLength()];
            bytes.readBytes(data);
            add(line, "type", json("bytes"));
            add(line, "base64", json(Base64.getEncoder().encodeToString(data)));
        } else if (message instanceof MapMessage map) {
            List<String> pairs = new ArrayList<>();
            for (Enumeration<?> names = map.getMapNames(); names.hasMoreElements(); ) {
                String name = (String) names.nextElement();
                add(pairs, name, typed(map.getObject(name)));
            }
            add(line, "type", json("map"));
            add(line, "map", "{" + String.join(",", pairs) + "}");
        } else if (message instanceof ObjectMessage object) {
            add(line, "type", json("object"));
            add(line, "object", typed(object.getObject()));
        } else if (message instanceof StreamMessage stream) {
            stream.reset();
            List<String> items = new ArrayList<>();
            try {
                while (true) {
                    items.add(typed(stream.readObject()));
                }
            } catch (MessageEOFException end) {
                add(line, "type", json("stream"));
            }
            add(line, "stream", "[" + String.join(",", items) + "]");
        } else {
            add(line, "type", json("message"));
        }
    }

    static String typed(Object value) {
        if (value instanceof byte[] bytes) {
            return "[\"bytes\"," + json(Base64.getEncoder().encodeToString(bytes)) + "]";
        }
        String type = value == null ? "null" : value.getClass().getSimpleName();
        boolean bare = value == null || value instanceof Number || value instanceof Boolean;
        return "[" + json(type) + "," + (bare ? String.valueOf(value) : json(value.toString())) + "]";
    }

    static void add(List<String> line, String name, String value) {
        line.add(json(name) + ":" + value);
    }

    static String object(String name, String value) {
        return "{" + json(name) + ":" + value + "}";
    }

    static String json(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    static String arg(String name, String other) {
        List<String> found = ARGS.get(name);
        return found == null ? other : found.get(0);
    }
}
