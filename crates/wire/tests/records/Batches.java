// What Kafka's own record classes make of batches.
//
// Without arguments: reads lines `CODEC HEX`, each one batch, and answers each with a line
// `batch NAME HEX` for a batch of the same records that Kafka compressed with CODEC, and a line
// `record OFFSET TIMESTAMP KEY VALUE HEADERS` for each record that Kafka found; or with
// `refused: WHY`. With the argument `golden`: writes such lines for batches of every kind that a
// broker may hand out.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.StringJoiner;
import java.util.function.Predicate;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.BufferSupplier;

public class Batches {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final long TIME = 1_760_000_000_000L;
    private static final int BUFFER_BYTES = 1 << 20;

    public static void main(String[] arguments) throws Exception {
        var output = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
        if (arguments.length > 0) {
            golden(output);
        } else {
            var input = new BufferedReader(new InputStreamReader(System.in));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                echo(line.split(" "), output);
            }
        }
        output.flush();
    }

    private static void echo(String[] words, PrintStream output) {
        try {
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[1]));
            RecordBatch batch = MemoryRecords.readableRecords(bytes).batches().iterator().next();
            batch.ensureValid();
            MemoryRecordsBuilder again = builder(words[0], TimestampType.CREATE_TIME, 0);
            for (Record record : batch) {
                again.append(new SimpleRecord(record));
            }
            ByteBuffer answer = again.build().buffer();
            print(words[0], answer, batch, output);
        } catch (Exception error) {
            output.println("refused: " + error);
        }
    }

    private static MemoryRecordsBuilder builder(String codec, TimestampType type, long baseOffset) {
        return MemoryRecords.builder(ByteBuffer.allocate(BUFFER_BYTES), (byte) 2,
            Compression.of(codec).build(), type, baseOffset, TIME + 900_000, 4711, (short) 3, 65,
            false, 12);
    }

    private static void golden(PrintStream output) throws Exception {
        for (String codec : CODECS) {
            ByteBuffer plain = fill(builder(codec, TimestampType.CREATE_TIME, 1_000));
            print(codec + ":create-time", plain, first(plain), output);
            ByteBuffer appended = fill(builder(codec, TimestampType.LOG_APPEND_TIME, 2_000));
            print(codec + ":log-append-time", appended, first(appended), output);
            ByteBuffer holes = compact(plain, record -> record.offset() % 3 != 0);
            print(codec + ":holes", holes, first(holes), output);
            ByteBuffer horizon = compact(plain, record -> true);
            print(codec + ":delete-horizon", horizon, first(horizon), output);
            ByteBuffer empty = compact(plain, record -> false);
            print(codec + ":emptied", empty, first(empty), output);
        }
        for (ControlRecordType type : new ControlRecordType[] {
                ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            var marker = new EndTransactionMarker(type, 17);
            ByteBuffer bytes = MemoryRecords.withEndTransactionMarker(
                3_000, TIME, 9, 4711, (short) 3, marker).buffer();
            print("none:" + type.name().toLowerCase(), bytes, first(bytes), output);
        }
    }

    private static ByteBuffer fill(MemoryRecordsBuilder builder) {
        for (int index = 0; index < 9; index++) {
            byte[] key = index == 4 ? null : text("key-" + index);
            byte[] value = index % 4 == 3 ? null : text("value ".repeat(index * index));
            Header[] headers = new Header[index % 3];
            for (int header = 0; header < headers.length; header++) {
                headers[header] = new RecordHeader("h" + header, header == 1 ? null : text("ä"));
            }
            // Not in order, and one of them before the first.
            builder.append(new SimpleRecord(TIME + (index * 37 % 11 - 2) * 1_000, key, value, headers));
        }
        return builder.build().buffer();
    }

    private static ByteBuffer compact(ByteBuffer batch, Predicate<Record> keep) {
        var filter = new MemoryRecords.RecordFilter(TIME + 50_000, 86_400_000) {
            @Override
            protected BatchRetentionResult checkBatchRetention(RecordBatch checked) {
                return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
            }

            @Override
            protected boolean shouldRetainRecord(RecordBatch checked, Record record) {
                return keep.test(record);
            }
        };
        ByteBuffer out = ByteBuffer.allocate(BUFFER_BYTES);
        ByteBuffer kept = MemoryRecords.readableRecords(batch.duplicate())
            .filterTo(filter, out, BufferSupplier.NO_CACHING).outputBuffer();
        kept.flip();
        return kept;
    }

    private static RecordBatch first(ByteBuffer bytes) {
        return MemoryRecords.readableRecords(bytes.duplicate()).batches().iterator().next();
    }

    private static void print(String name, ByteBuffer bytes, RecordBatch batch, PrintStream output) {
        output.println("batch " + name + " " + hex(bytes));
        for (Record record : batch) {
            var headers = new StringJoiner(",", "[", "]");
            for (Header header : record.headers()) {
                byte[] value = header.value();
                headers.add(HexFormat.of().formatHex(text(header.key())) + "="
                    + (value == null ? "null" : HexFormat.of().formatHex(value)));
            }
            output.println("record " + record.offset() + " " + record.timestamp() + " "
                + hex(record.key()) + " " + hex(record.value()) + " " + headers);
        }
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String hex(ByteBuffer bytes) {
        if (bytes == null) {
            return "null";
        }
        byte[] array = new byte[bytes.remaining()];
        bytes.duplicate().get(array);
        return "x" + HexFormat.of().formatHex(array);
    }
}
