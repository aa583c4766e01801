import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.OptionalLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.Checkpoint;
import org.apache.kafka.connect.mirror.Heartbeat;
import org.apache.kafka.connect.mirror.OffsetSync;
import org.apache.kafka.connect.mirror.OffsetSyncStore;

/**
 * MirrorMaker's own classes, asked one question a line: what a record consists of, and where a
 * position is translated to after some offset syncs. Texts are hexadecimal UTF-8 behind an x.
 *
 * <p>"sync TOPIC PARTITION UP DOWN", "checkpoint GROUP TOPIC PARTITION UP DOWN METADATA" and
 * "heartbeat SOURCE TARGET TIME" are answered with key and value; "new" begins a store, "add UP
 * DOWN" adds to it, "ask POSITION" is answered with an offset, -1 or "none".
 */
final class MirrorMakerOracle {
    private static final TopicPartition PLACE = new TopicPartition("t", 0);
    private static OffsetSyncStore store;

    public static void main(String[] arguments) throws Exception {
        StringBuilder out = new StringBuilder();
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            answer(line.split(" "), out);
        }
        System.out.print(out);
        System.out.flush();
    }

    private static void answer(String[] words, StringBuilder out) throws Exception {
        switch (words[0]) {
            case "sync" -> bytes(out, sync(new TopicPartition(text(words[1]),
                    Integer.parseInt(words[2])), words[3], words[4]));
            case "checkpoint" -> bytes(out, new Checkpoint(text(words[1]),
                    new TopicPartition(text(words[2]), Integer.parseInt(words[3])),
                    Long.parseLong(words[4]), Long.parseLong(words[5]), text(words[6])));
            case "heartbeat" -> bytes(out, new Heartbeat(text(words[1]), text(words[2]),
                    Long.parseLong(words[3])));
            case "new" -> store = store();
            case "add" -> add(sync(PLACE, words[1], words[2]));
            case "ask" -> {
                OptionalLong found =
                        store.translateDownstream("group", PLACE, Long.parseLong(words[1]));
                out.append(found.isPresent() ? found.getAsLong() : "none").append('\n');
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private static OffsetSync sync(TopicPartition place, String upstream, String downstream) {
        return new OffsetSync(place, Long.parseLong(upstream), Long.parseLong(downstream));
    }

    /** One that has read its topic to the end, as a running one has. */
    private static OffsetSyncStore store() throws Exception {
        Constructor<OffsetSyncStore> constructor = OffsetSyncStore.class.getDeclaredConstructor();
        constructor.setAccessible(true);
        OffsetSyncStore made = constructor.newInstance();
        Field readToEnd = OffsetSyncStore.class.getDeclaredField("readToEnd");
        readToEnd.setAccessible(true);
        readToEnd.setBoolean(made, true);
        return made;
    }

    private static void add(OffsetSync sync) throws Exception {
        Method handle =
                OffsetSyncStore.class.getDeclaredMethod("handleRecord", ConsumerRecord.class);
        handle.setAccessible(true);
        handle.invoke(store, new ConsumerRecord<>("syncs", 0, 0, half(sync, "recordKey"),
                half(sync, "recordValue")));
    }

    private static void bytes(StringBuilder out, Object record) throws Exception {
        HexFormat hex = HexFormat.of();
        out.append(hex.formatHex(half(record, "recordKey"))).append(' ')
                .append(hex.formatHex(half(record, "recordValue"))).append('\n');
    }

    private static byte[] half(Object record, String which) throws Exception {
        Method method = record.getClass().getDeclaredMethod(which);
        method.setAccessible(true);
        return (byte[]) method.invoke(record);
    }

    private static String text(String word) {
        return new String(HexFormat.of().parseHex(word.substring(1)), StandardCharsets.UTF_8);
    }
}
