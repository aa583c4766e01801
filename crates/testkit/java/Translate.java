import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/**
 * What MirrorMaker's own library makes of what MirrorMaker left behind, as an application asks it
 * when it fails over: where a group of another cluster goes on here, and how far away that is.
 *
 * <p>Each argument is BOOTSTRAP/ALIAS/GROUP: a cluster, the alias of another one that is mirrored
 * there, a group of the other one. For each a line "ALIAS HOPS", then "TOPIC PARTITION OFFSET" for
 * each partition, in their order.
 */
final class Translate {
    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            String[] parts = argument.split("/");
            Map<String, Object> settings = Map.of("bootstrap.servers", parts[0]);
            System.out.println(
                    parts[1] + " " + RemoteClusterUtils.replicationHops(settings, parts[1]));
            Map<String, Long> found = new TreeMap<>();
            for (Map.Entry<TopicPartition, OffsetAndMetadata> entry :
                    RemoteClusterUtils.translateOffsets(
                                    settings, parts[1], parts[2], Duration.ofSeconds(60))
                            .entrySet()) {
                TopicPartition place = entry.getKey();
                found.put(place.topic() + " " + place.partition(), entry.getValue().offset());
            }
            found.forEach((place, offset) -> System.out.println(place + " " + offset));
        }
        System.out.flush();
    }
}
