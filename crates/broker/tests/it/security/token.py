"""A librdkafka client whose application gives it a token: `BOOTSTRAP AUTHORITY TOPIC TOKEN`.

Produces a record and reads it back, or says why it was refused.
"""

import sys
import time

import confluent_kafka as ck

PATIENCE_SECONDS = 60

bootstrap, authority, topic, token = sys.argv[1:]
refusals = []


def on_error(error):
    if error.code() == ck.KafkaError._AUTHENTICATION:
        refusals.append(str(error))


settings = {
    "bootstrap.servers": bootstrap,
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": authority,
    "sasl.mechanisms": "OAUTHBEARER",
    "oauth_cb": lambda _config: (token, time.time() + 3600),
    "error_cb": on_error,
}
producer = ck.Producer(settings)
producer.produce(topic, b"of a bearer")
until = time.monotonic() + PATIENCE_SECONDS
while len(producer) > 0 and not refusals and time.monotonic() < until:
    producer.poll(0.1)
if refusals:
    producer.purge()
    print("refused:", refusals[0])
    sys.exit()
consumer = ck.Consumer({**settings, "group.id": "bearers"})
consumer.assign([ck.TopicPartition(topic, 0, 0)])
message = None
while message is None and time.monotonic() < until:
    message = consumer.poll(0.1)
print("read:", message.value().decode())
consumer.close()
