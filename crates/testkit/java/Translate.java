import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * What MirrorMaker's own library makes of what MirrorMaker left behind, as an application asks it
 * when it fails over: where a group of another cluster goes on here, and how far away that is.
 *
 * <p>Each argument is BOOTSTRAP/ALIAS/GROUP: a cluster, the alias of another one that is mirrored
 * there, a group of the other one. For each a line "ALIAS HOPS", then "TOPIC PARTITION OFFSET" for
 * each partition, in their order. Several are asked at a time.
 */
final class Translate {
    private static final int AT_A_TIME = 8;

    public static void main(String[] arguments) throws Exception {
        ExecutorService asking = Executors.newFixedThreadPool(AT_A_TIME);
        List<Future<String>> answers = new ArrayList<>();
        for (String argument : arguments) {
            answers.add(asking.submit(() -> answer(argument.split("/"))));
        }
        asking.shutdown();
        for (Future<String> answer : answers) {
            System.out.print(answer.get());
        }
        System.out.flush();
    }

    private static String answer(String[] parts) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", parts[0]);
        StringBuilder out = new StringBuilder();
        out.append(parts[1]).append(' ')
                .append(RemoteClusterUtils.replicationHops(settings, parts[1])).append('\n');
        Map<String, Long> found = new TreeMap<>();
        for (Map.Entry<TopicPartition, OffsetAndMetadata> entry :
                RemoteClusterUtils.translateOffsets(
                                settings, parts[1], parts[2], Duration.ofSeconds(60))
                        .entrySet()) {
            TopicPartition place = entry.getKey();
            found.put(place.topic() + " " + place.partition(), entry.getValue().offset());
        }
        found.forEach((place, offset) -> out.append(place).append(' ').append(offset).append('\n'));
        return out.toString();
    }
}
