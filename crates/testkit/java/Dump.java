import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints every record of a topic up to its present end, one line each, fields between tabs:
 * partition, offset, timestamp type, timestamp, key, value, headers ("name=value" between commas).
 * null is \N. With values=crc a value is its length and CRC-32C instead of its text.
 *
 * <p>Arguments (name=value): bootstrap, topic; and optionally committed (true: only what committed
 * transactions wrote), values (text).
 */
final class Dump {
    public static void main(String[] strings) {
        Arguments arguments = new Arguments(strings);
        String topic = arguments.text("topic");
        boolean committed = Boolean.parseBoolean(arguments.text("committed", "false"));
        boolean text = arguments.text("values", "text").equals("text");
        Properties settings = arguments.client();
        settings.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        settings.put("enable.auto.commit", "false");
        settings.put("allow.auto.create.topics", "false");
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false);
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic)
                    .forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            // A position also moves over what is not delivered: markers and aborted records.
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    if (record.offset() < ends.get(new TopicPartition(topic, record.partition()))) {
                        print(out, record, text);
                    }
                }
            }
        }
        out.flush();
    }

    private static void print(PrintStream out, ConsumerRecord<byte[], byte[]> record, boolean text) {
        StringBuilder line = new StringBuilder();
        line.append(record.partition()).append('\t').append(record.offset()).append('\t')
                .append(record.timestampType()).append('\t').append(record.timestamp()).append('\t')
                .append(show(record.key())).append('\t')
                .append(text ? show(record.value()) : checksum(record.value())).append('\t');
        String separator = "";
        for (Header header : record.headers()) {
            line.append(separator).append(header.key()).append('=').append(show(header.value()));
            separator = ",";
        }
        out.append(line).append('\n');
    }

    private static String show(byte[] bytes) {
        return bytes == null ? "\\N" : new String(bytes, StandardCharsets.UTF_8);
    }

    private static String checksum(byte[] bytes) {
        if (bytes == null) {
            return "\\N";
        }
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, bytes.length);
        return bytes.length + ":" + Long.toHexString(crc.getValue());
    }
}
