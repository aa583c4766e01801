import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What Kafka's Java clients can do with a broker: {@code Features BOOTSTRAP [FEATURE...]} prints one
 * line for each feature: {@code FEATURE ok} or {@code FEATURE failed: REASON}.
 */
final class Features {
    private static final Duration PATIENCE = Duration.ofSeconds(40);
    private static final long MINUTE_MS = 60_000;

    private static String bootstrap;

    private interface Feature {
        void attempt() throws Exception;
    }

    private static Map<String, Feature> features() {
        Map<String, Feature> features = new LinkedHashMap<>();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            features.put("codec-" + codec, () -> codec(codec));
        }
        features.put("headers", Features::headers);
        features.put("large-record", Features::largeRecord);
        features.put("too-large-refused", Features::tooLarge);
        features.put("idempotent", Features::idempotent);
        features.put("transactions", Features::transactions);
        features.put("transaction-offsets", Features::transactionOffsets);
        features.put("transaction-fencing", Features::transactionFencing);
        features.put("group-rebalance", () -> groupRebalance(false));
        features.put("group-resume", () -> groupResume(false));
        features.put("static-member", Features::staticMember);
        features.put("new-group-rebalance", () -> groupRebalance(true));
        features.put("new-group-resume", () -> groupResume(true));
        features.put("offsets-by-time", Features::offsetsByTime);
        features.put("delete-records", Features::deleteRecords);
        features.put("admin-topics", Features::adminTopics);
        features.put("admin-configs", Features::adminConfigs);
        features.put("admin-groups", Features::adminGroups);
        features.put("admin-cluster", Features::adminCluster);
        return features;
    }

    public static void main(String[] arguments) {
        bootstrap = arguments[0];
        List<String> wanted = Arrays.asList(arguments).subList(1, arguments.length);
        features().forEach((name, feature) -> {
            if (!wanted.isEmpty() && !wanted.contains(name)) {
                return;
            }
            try {
                feature.attempt();
                System.out.println(name + " ok");
            } catch (Throwable error) {
                error.printStackTrace();
                System.out.println(name + " failed: " + error.toString().replaceAll("\\s+", " "));
            }
            System.out.flush();
        });
        // What failed may have left something running.
        System.exit(0);
    }

    private static Properties settings(String... more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) {
            settings.put(more[i], more[i + 1]);
        }
        return settings;
    }

    private static Admin admin() {
        return Admin.create(settings());
    }

    private static KafkaProducer<byte[], byte[]> producer(String... more) {
        ByteArraySerializer bytes = new ByteArraySerializer();
        return new KafkaProducer<>(settings(more), bytes, bytes);
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String... more) {
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        Properties settings = settings(more);
        settings.putIfAbsent("auto.offset.reset", "earliest");
        settings.putIfAbsent("enable.auto.commit", "false");
        settings.putIfAbsent("max.poll.records", "10000");
        return new KafkaConsumer<>(settings, bytes, bytes);
    }

    private static void createTopic(String topic, int partitions, Map<String, String> configs)
            throws Exception {
        try (Admin admin = admin()) {
            NewTopic made = new NewTopic(topic, partitions, (short) 1).configs(configs);
            admin.createTopics(List.of(made)).all().get();
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] value(int number) {
        return utf8("value-" + number + " " + "again and ".repeat(20));
    }

    private static List<ProducerRecord<byte[], byte[]>> numbered(String topic, int count) {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            records.add(new ProducerRecord<>(topic, utf8("key-" + i), value(i)));
        }
        return records;
    }

    private static byte[] noise(int length) {
        byte[] noise = new byte[length];
        new Random(1).nextBytes(noise);
        return noise;
    }

    private static void sendAll(
            KafkaProducer<byte[], byte[]> producer, List<ProducerRecord<byte[], byte[]>> records)
            throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> record : records) {
            sent.add(producer.send(record));
        }
        producer.flush();
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
    }

    private static void produce(List<ProducerRecord<byte[], byte[]>> records, String... more)
            throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(more)) {
            sendAll(producer, records);
        }
    }

    /** The first records of a topic of one partition. */
    private static List<ConsumerRecord<byte[], byte[]>> read(
            String topic, int count, String... more) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(more)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            return poll(consumer, count);
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> poll(
            KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        until(count + " records", () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(found::add);
            return found.size() >= count;
        });
        return found;
    }

    private static void until(String what, BooleanSupplier holds) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!holds.getAsBoolean()) {
            check(System.nanoTime() < deadline, "not within " + PATIENCE + ": " + what);
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static void refused(Class<?> error, Feature attempt) throws Exception {
        try {
            attempt.attempt();
        } catch (ExecutionException | KafkaException failure) {
            Throwable cause = failure instanceof ExecutionException ? failure.getCause() : failure;
            check(error.isInstance(cause), "the answer was " + cause);
            return;
        }
        throw new AssertionError("it was not refused with " + error.getSimpleName());
    }

    private static void sameAsNumbered(List<ConsumerRecord<byte[], byte[]>> found, int count) {
        check(found.size() == count, found.size() + " records came back");
        for (int i = 0; i < count; i++) {
            boolean same = Arrays.equals(found.get(i).value(), value(i));
            check(same, "record " + i + " came back otherwise");
        }
    }

    private static void codec(String name) throws Exception {
        String topic = "codec-" + name;
        createTopic(topic, 1, Map.of());
        produce(numbered(topic, 200), "compression.type", name, "linger.ms", "20");
        sameAsNumbered(read(topic, 200), 200);
    }

    private static void headers() throws Exception {
        createTopic("headers", 1, Map.of());
        ProducerRecord<byte[], byte[]> first =
                new ProducerRecord<>("headers", null, utf8("no key"));
        first.headers().add("a", utf8("1")).add("a", utf8("2"));
        first.headers().add("empty", new byte[0]).add("null", null);
        produce(List.of(first, new ProducerRecord<>("headers", utf8("tombstone"), null)));
        List<ConsumerRecord<byte[], byte[]>> found = read("headers", 2);
        Header[] expected = first.headers().toArray();
        Header[] headers = found.get(0).headers().toArray();
        check(Arrays.equals(expected, headers), "headers came back otherwise");
        check(found.get(0).key() == null && found.get(1).value() == null, "null is not null");
    }

    private static void largeRecord() throws Exception {
        createTopic("large", 1, Map.of("max.message.bytes", "10000000"));
        byte[] sent = noise(5_000_000);
        produce(List.of(new ProducerRecord<>("large", sent)), "max.request.size", "9000000");
        byte[] found = read("large", 1, "max.partition.fetch.bytes", "100000").get(0).value();
        check(Arrays.equals(sent, found), "other bytes came back");
    }

    private static void tooLarge() throws Exception {
        createTopic("too-large", 1, Map.of());
        List<ProducerRecord<byte[], byte[]>> records =
                List.of(new ProducerRecord<>("too-large", noise(2_000_000)));
        refused(RecordTooLargeException.class,
                () -> produce(records, "max.request.size", "9000000"));
    }

    private static void idempotent() throws Exception {
        createTopic("idempotent", 1, Map.of());
        produce(numbered("idempotent", 500), "enable.idempotence", "true", "batch.size", "4000");
        sameAsNumbered(read("idempotent", 500), 500);
    }

    private static KafkaProducer<byte[], byte[]> transactional(String id) {
        KafkaProducer<byte[], byte[]> producer = producer("transactional.id", id);
        producer.initTransactions();
        return producer;
    }

    private static void end(KafkaProducer<byte[], byte[]> producer, boolean commits) {
        if (commits) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    private static void transactions() throws Exception {
        createTopic("transactions", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = transactional("transactions")) {
            for (boolean commits : new boolean[] {true, false, true}) {
                producer.beginTransaction();
                sendAll(producer, numbered("transactions", 10));
                end(producer, commits);
            }
        }
        check(read("transactions", 30).size() == 30, "not all is there");
        List<ConsumerRecord<byte[], byte[]>> found =
                read("transactions", 20, "isolation.level", "read_committed");
        check(found.get(10).offset() == 22, "the eleventh is at " + found.get(10).offset());
    }

    private static void transactionOffsets() throws Exception {
        createTopic("copy-from", 1, Map.of());
        createTopic("copy-to", 1, Map.of());
        produce(numbered("copy-from", 50));
        TopicPartition place = new TopicPartition("copy-from", 0);
        try (KafkaConsumer<byte[], byte[]> consumer = member("copy", false);
                KafkaProducer<byte[], byte[]> producer = transactional("copy")) {
            consumer.subscribe(List.of("copy-from"));
            List<ConsumerRecord<byte[], byte[]>> records = poll(consumer, 50);
            int[] ends = {10, 20, 20, 50};
            boolean[] commits = {true, false, true, true};
            for (int i = 0; i < ends.length; i++) {
                OffsetAndMetadata at = consumer.committed(Set.of(place)).get(place);
                producer.beginTransaction();
                for (int j = at == null ? 0 : (int) at.offset(); j < ends[i]; j++) {
                    producer.send(new ProducerRecord<>("copy-to", records.get(j).value()));
                }
                producer.sendOffsetsToTransaction(
                        Map.of(place, new OffsetAndMetadata(ends[i])), consumer.groupMetadata());
                end(producer, commits[i]);
            }
            long at = consumer.committed(Set.of(place)).get(place).offset();
            check(at == 50, "offset " + at + " is committed");
        }
        sameAsNumbered(read("copy-to", 50, "isolation.level", "read_committed"), 50);
    }

    private static void transactionFencing() throws Exception {
        createTopic("fencing", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> older = transactional("fencing")) {
            older.beginTransaction();
            sendAll(older, numbered("fencing", 1));
            try (KafkaProducer<byte[], byte[]> newer = transactional("fencing")) {
                newer.beginTransaction();
                sendAll(newer, numbered("fencing", 1));
                newer.commitTransaction();
            }
            try {
                older.commitTransaction();
            } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
                return;
            }
        }
        throw new AssertionError("the older producer has committed");
    }

    private static KafkaConsumer<byte[], byte[]> member(String group, boolean isNew) {
        return isNew
                ? consumer("group.id", group, "group.protocol", "consumer")
                : consumer("group.id", group, "heartbeat.interval.ms", "200");
    }

    private static String prefix(boolean isNew) {
        return isNew ? "new-" : "";
    }

    /** Whether each has so many partitions, after a poll of each. */
    @SafeVarargs
    private static boolean share(int partitions, KafkaConsumer<byte[], byte[]>... consumers) {
        boolean all = true;
        for (KafkaConsumer<byte[], byte[]> consumer : consumers) {
            consumer.poll(Duration.ofMillis(50));
            all &= consumer.assignment().size() == partitions;
        }
        return all;
    }

    private static void groupRebalance(boolean isNew) throws Exception {
        String topic = prefix(isNew) + "rebalance";
        createTopic(topic, 4, Map.of());
        try (KafkaConsumer<byte[], byte[]> first = member(topic, isNew)) {
            first.subscribe(List.of(topic));
            until("one member has all", () -> share(4, first));
            // The first has to take part in what the second waits for.
            KafkaConsumer<byte[], byte[]> second = member(topic, isNew);
            second.subscribe(List.of(topic));
            until("two members have two each", () -> share(2, first, second));
            second.close();
            until("the one that is left has all", () -> share(4, first));
        }
    }

    private static void groupResume(boolean isNew) throws Exception {
        String topic = prefix(isNew) + "resume";
        createTopic(topic, 1, Map.of());
        produce(numbered(topic, 100));
        TopicPartition place = new TopicPartition(topic, 0);
        for (int start : new int[] {0, 40}) {
            try (KafkaConsumer<byte[], byte[]> consumer = member(topic, isNew)) {
                consumer.subscribe(List.of(topic));
                long first = poll(consumer, 40).get(0).offset();
                check(first == start, "it went on at " + first);
                consumer.commitSync(Map.of(place, new OffsetAndMetadata(start + 40)));
            }
        }
    }

    /** Counts how often a member gave something up. */
    private static final class Revocations implements ConsumerRebalanceListener {
        private int count;

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            count++;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
    }

    private static KafkaConsumer<byte[], byte[]> instance(String name) {
        return consumer("group.id", "static", "group.instance.id", name,
                "heartbeat.interval.ms", "200");
    }

    private static void staticMember() throws Exception {
        createTopic("static", 4, Map.of());
        Revocations revocations = new Revocations();
        try (KafkaConsumer<byte[], byte[]> first = instance("one")) {
            first.subscribe(List.of("static"), revocations);
            Set<TopicPartition> before;
            int count;
            try (KafkaConsumer<byte[], byte[]> second = instance("two")) {
                second.subscribe(List.of("static"));
                until("two members have two each", () -> share(2, first, second));
                before = second.assignment();
                count = revocations.count;
            }
            // A static member does not leave when it is closed.
            try (KafkaConsumer<byte[], byte[]> again = instance("two")) {
                again.subscribe(List.of("static"));
                until("the member is back", () -> share(2, first, again));
                check(again.assignment().equals(before), before + " became " + again.assignment());
                check(revocations.count == count, "the others were disturbed");
            }
        }
    }

    private static void offsetsByTime() throws Exception {
        createTopic("times", 1, Map.of());
        long start = System.currentTimeMillis() - 60 * MINUTE_MS;
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            records.add(new ProducerRecord<>("times", 0, start + i * MINUTE_MS, null, value(i)));
        }
        produce(records);
        TopicPartition place = new TopicPartition("times", 0);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            long[][] expected = {
                {start, 0},
                {start + 3 * MINUTE_MS, 3},
                {start + 3 * MINUTE_MS + 1, 4},
                {start + 60 * MINUTE_MS, -1},
            };
            for (long[] one : expected) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(place, one[0])).get(place);
                long offset = found == null ? -1 : found.offset();
                check(offset == one[1], one[1] + " wanted, " + offset + " found");
            }
        }
        try (Admin admin = admin()) {
            check(offset(admin, place, OffsetSpec.earliest()) == 0, "the start is another");
            check(offset(admin, place, OffsetSpec.latest()) == 10, "the end is another");
            check(offset(admin, place, OffsetSpec.maxTimestamp()) == 9, "the largest is another");
        }
    }

    private static long offset(Admin admin, TopicPartition place, OffsetSpec asked)
            throws Exception {
        ListOffsetsResultInfo found = admin.listOffsets(Map.of(place, asked)).all().get().get(place);
        return found.offset();
    }

    private static void deleteRecords() throws Exception {
        createTopic("delete-records", 1, Map.of());
        produce(numbered("delete-records", 20));
        TopicPartition place = new TopicPartition("delete-records", 0);
        try (Admin admin = admin()) {
            long start = admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(15)))
                    .lowWatermarks().get(place).get().lowWatermark();
            check(start == 15, "the log starts at " + start);
        }
        long first = read("delete-records", 5).get(0).offset();
        check(first == 15, "the first record is at " + first);
    }

    private static void adminTopics() throws Exception {
        try (Admin admin = admin()) {
            NewTopic made =
                    new NewTopic("made", 2, (short) 1).configs(Map.of("retention.ms", "86400000"));
            String retention = admin.createTopics(List.of(made)).config("made").get()
                    .get("retention.ms").value();
            check(retention.equals("86400000"), "retention.ms is " + retention);
            refused(TopicExistsException.class,
                    () -> admin.createTopics(List.of(made)).all().get());
            admin.createPartitions(Map.of("made", NewPartitions.increaseTo(5))).all().get();
            int partitions = admin.describeTopics(List.of("made")).allTopicNames().get()
                    .get("made").partitions().size();
            check(partitions == 5, partitions + " partitions after they became five");
            admin.deleteTopics(List.of("made")).all().get();
            refused(UnknownTopicOrPartitionException.class,
                    () -> admin.deleteTopics(List.of("made")).all().get());
        }
    }

    private static void adminConfigs() throws Exception {
        createTopic("configs", 1, Map.of());
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "configs");
        try (Admin admin = admin()) {
            for (String expected : List.of("3600000", "604800000")) {
                AlterConfigOp.OpType type = expected.equals("3600000")
                        ? AlterConfigOp.OpType.SET : AlterConfigOp.OpType.DELETE;
                AlterConfigOp change =
                        new AlterConfigOp(new ConfigEntry("retention.ms", expected), type);
                admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
                Config found = admin.describeConfigs(List.of(topic)).all().get().get(topic);
                String after = found.get("retention.ms").value();
                check(after.equals(expected), "retention.ms is " + after);
            }
            String node = admin.describeCluster().nodes().get().iterator().next().idString();
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node);
            Config configs = admin.describeConfigs(List.of(broker)).all().get().get(broker);
            check(!configs.entries().isEmpty(), "no configs of the broker");
        }
    }

    private static void adminGroups() throws Exception {
        createTopic("groups", 2, Map.of());
        try (Admin admin = admin()) {
            try (KafkaConsumer<byte[], byte[]> member = member("groups", false)) {
                member.subscribe(List.of("groups"));
                until("the member has all", () -> share(2, member));
                String state = admin.describeConsumerGroups(List.of("groups")).all().get()
                        .get("groups").state().toString();
                check(state.equals("Stable"), "the group is " + state);
            }
            boolean listed = admin.listConsumerGroups().all().get().stream()
                    .anyMatch(group -> group.groupId().equals("groups"));
            check(listed, "the group is not listed");
            TopicPartition place = new TopicPartition("groups", 1);
            admin.alterConsumerGroupOffsets("groups", Map.of(place, new OffsetAndMetadata(8)))
                    .all().get();
            long at = admin.listConsumerGroupOffsets("groups").partitionsToOffsetAndMetadata().get()
                    .get(place).offset();
            check(at == 8, "offset " + at + " is committed");
            admin.deleteConsumerGroupOffsets("groups", Set.of(place)).all().get();
            admin.deleteConsumerGroups(List.of("groups")).all().get();
            refused(GroupIdNotFoundException.class,
                    () -> admin.deleteConsumerGroups(List.of("groups")).all().get());
        }
    }

    private static void adminCluster() throws Exception {
        try (Admin admin = admin()) {
            int nodes = admin.describeCluster().nodes().get().size();
            String cluster = admin.describeCluster().clusterId().get();
            check(nodes == 1 && cluster != null, nodes + " nodes of cluster " + cluster);
            check(!admin.describeLogDirs(List.of(1)).allDescriptions().get().isEmpty(),
                    "no log directories");
            admin.describeFeatures().featureMetadata().get();
        }
    }
}
