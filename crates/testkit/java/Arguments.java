import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;

/** Arguments of the form name=value; those that start with "client." go to the Kafka client. */
final class Arguments {
    private final Map<String, String> values = new LinkedHashMap<>();

    Arguments(String[] arguments) {
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException("not name=value: " + argument);
            }
            values.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
    }

    String text(String name, String otherwise) {
        String value = values.remove(name);
        return value == null ? otherwise : value;
    }

    String text(String name) {
        String value = values.remove(name);
        if (value == null) {
            throw new IllegalArgumentException("missing: " + name + "=…");
        }
        return value;
    }

    long number(String name, long otherwise) {
        String value = values.remove(name);
        return value == null ? otherwise : Long.parseLong(value);
    }

    /** The client's settings; whatever else is left is a mistake. */
    Properties client() {
        Properties client = new Properties();
        client.put("bootstrap.servers", text("bootstrap"));
        for (Map.Entry<String, String> entry : values.entrySet()) {
            if (!entry.getKey().startsWith("client.")) {
                throw new IllegalArgumentException("unknown: " + entry.getKey());
            }
            client.put(entry.getKey().substring("client.".length()), entry.getValue());
        }
        return client;
    }
}
