import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces numbered records, in transactions if asked to, and waits for every acknowledgement.
 *
 * <p>The value of record i is "i", then dots up to "size" bytes. Arguments (name=value): bootstrap,
 * topic, count; and optionally first (0), size (0: just the number), partition (the producer
 * chooses), keys (0: no key; else "k" and i modulo keys), tombstones (every n-th value is null),
 * timestamp (of the first record, in ms) and step (ms to the next), headers (how many),
 * batch (so many records to a batch, if there is one partition and batch.size has room for them),
 * transaction (records per transaction) and abort (every n-th transaction is
 * aborted), print (true: a line "partition offset number committed|aborted" per record).
 */
final class Produce {
    public static void main(String[] strings) throws Exception {
        Arguments arguments = new Arguments(strings);
        String topic = arguments.text("topic");
        long count = arguments.number("count", 0);
        long first = arguments.number("first", 0);
        int size = (int) arguments.number("size", 0);
        long partition = arguments.number("partition", -1);
        long keys = arguments.number("keys", 0);
        long tombstones = arguments.number("tombstones", 0);
        long timestamp = arguments.number("timestamp", -1);
        long step = arguments.number("step", 1);
        long headers = arguments.number("headers", 0);
        long transaction = arguments.number("transaction", 0);
        long batch = arguments.number("batch", 0);
        long abort = arguments.number("abort", 0);
        boolean print = Boolean.parseBoolean(arguments.text("print", "false"));
        Properties settings = arguments.client();
        if (transaction > 0) {
            settings.putIfAbsent("transactional.id", "produce-" + topic);
        }
        if (batch > 0) {
            // Only the flush below sends.
            settings.putIfAbsent("linger.ms", "60000");
        }
        ByteArraySerializer bytes = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, bytes, bytes)) {
            if (transaction > 0) {
                producer.initTransactions();
            }
            long perTransaction = transaction > 0 ? transaction : count;
            long transactions = 0;
            for (long start = 0; start < count; start += perTransaction) {
                long end = Math.min(start + perTransaction, count);
                transactions++;
                boolean aborts = abort > 0 && transactions % abort == 0;
                if (transaction > 0) {
                    producer.beginTransaction();
                }
                long inBatch = 0;
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (long i = start; i < end; i++) {
                    long number = first + i;
                    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                            topic,
                            partition < 0 ? null : (int) partition,
                            timestamp < 0 ? null : timestamp + i * step,
                            keys > 0 ? utf8("k" + number % keys) : null,
                            tombstones > 0 && number % tombstones == 0 ? null : value(number, size));
                    for (int h = 0; h < headers; h++) {
                        record.headers().add("h" + h, utf8("header " + h + " of " + number));
                    }
                    sent.add(producer.send(record));
                    if (batch > 0 && ++inBatch % batch == 0) {
                        producer.flush();
                    }
                }
                producer.flush();
                StringBuilder lines = new StringBuilder();
                for (int i = 0; i < sent.size(); i++) {
                    RecordMetadata at = sent.get(i).get();
                    if (print) {
                        lines.append(at.partition()).append(' ').append(at.offset()).append(' ')
                                .append(first + start + i).append(' ')
                                .append(aborts ? "aborted" : "committed").append('\n');
                    }
                }
                if (transaction > 0) {
                    if (aborts) {
                        producer.abortTransaction();
                    } else {
                        producer.commitTransaction();
                    }
                }
                System.out.print(lines);
            }
        }
        System.out.flush();
        System.err.println("sent " + count);
    }

    private static byte[] value(long number, int size) {
        byte[] digits = utf8(Long.toString(number));
        if (digits.length >= size) {
            return digits;
        }
        byte[] value = new byte[size];
        Arrays.fill(value, (byte) '.');
        System.arraycopy(digits, 0, value, 0, digits.length);
        return value;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
