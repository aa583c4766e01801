package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type codec struct {
	name  string
	codec kgo.CompressionCodec
}

var codecs = []codec{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

func codecRoundTrip(ctx context.Context, codec codec) error {
	topic := "codec-" + codec.name
	if err := createTopic(ctx, topic, 1, nil); err != nil {
		return err
	}
	sent := numbered(topic, 200)
	if err := produce(ctx, sent, kgo.ProducerBatchCompression(codec.codec)); err != nil {
		return err
	}
	found, err := read(ctx, topic, len(sent))
	if err != nil {
		return err
	}
	for i, record := range found {
		same := bytes.Equal(record.Key, sent[i].Key) && bytes.Equal(record.Value, sent[i].Value)
		if !same || record.Offset != int64(i) {
			return fmt.Errorf("record %d came back as %q at offset %d", i, record.Key, record.Offset)
		}
	}
	return nil
}

func headers(ctx context.Context) error {
	if err := createTopic(ctx, "headers", 1, nil); err != nil {
		return err
	}
	sent := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")},
		{Key: "empty", Value: []byte{}}, {Key: "null", Value: nil}}
	records := []*kgo.Record{
		{Topic: "headers", Key: nil, Value: []byte("no key"), Headers: sent},
		{Topic: "headers", Key: []byte("tombstone"), Value: nil},
	}
	if err := produce(ctx, records); err != nil {
		return err
	}
	found, err := read(ctx, "headers", 2)
	if err != nil {
		return err
	}
	if found[0].Key != nil || found[1].Value != nil || len(found[0].Headers) != len(sent) {
		return fmt.Errorf("null is not null, or headers are missing: %v", found[0].Headers)
	}
	for i, header := range found[0].Headers {
		isNull := header.Value == nil
		if header.Key != sent[i].Key || !bytes.Equal(header.Value, sent[i].Value) ||
			isNull != (sent[i].Value == nil) {
			return fmt.Errorf("header %d came back as %v", i, header)
		}
	}
	return nil
}

func noise(length int) []byte {
	noise := make([]byte, length)
	rand.New(rand.NewSource(1)).Read(noise)
	return noise
}

func largeRecord(ctx context.Context) error {
	limit := "10000000"
	if err := createTopic(ctx, "large", 1, map[string]*string{"max.message.bytes": &limit}); err != nil {
		return err
	}
	sent := noise(5_000_000)
	records := []*kgo.Record{{Topic: "large", Value: sent}}
	if err := produce(ctx, records, kgo.ProducerBatchMaxBytes(9_000_000)); err != nil {
		return err
	}
	found, err := read(ctx, "large", 1, kgo.FetchMaxPartitionBytes(100_000))
	if err != nil {
		return err
	}
	return check(bytes.Equal(found[0].Value, sent), "%d other bytes came back", len(found[0].Value))
}

func tooLarge(ctx context.Context) error {
	if err := createTopic(ctx, "too-large", 1, nil); err != nil {
		return err
	}
	records := []*kgo.Record{{Topic: "too-large", Value: noise(2_000_000)}}
	err := produce(ctx, records, kgo.ProducerBatchMaxBytes(9_000_000))
	return check(errors.Is(err, kerr.MessageTooLarge), "the answer was %v", err)
}

func idempotent(ctx context.Context) error {
	if err := createTopic(ctx, "idempotent", 1, nil); err != nil {
		return err
	}
	cl, err := client(kgo.ProducerLinger(0), kgo.MaxBufferedRecords(50))
	if err != nil {
		return err
	}
	defer cl.Close()
	var failure error
	for _, record := range numbered("idempotent", 500) {
		cl.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failure = err
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if failure != nil {
		return failure
	}
	found, err := read(ctx, "idempotent", 500)
	if err != nil {
		return err
	}
	for i, record := range found {
		if record.ProducerID < 0 || !bytes.Equal(record.Value, value(i)) {
			return fmt.Errorf("record %d has producer id %d", i, record.ProducerID)
		}
	}
	return nil
}

func offsetsByTime(ctx context.Context) error {
	if err := createTopic(ctx, "times", 1, nil); err != nil {
		return err
	}
	start := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	records := numbered("times", 10)
	for i, record := range records {
		record.Timestamp = start.Add(time.Duration(i) * time.Minute)
	}
	if err := produce(ctx, records); err != nil {
		return err
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	for _, asked := range []struct {
		milli  int64
		offset int64
	}{
		{start.UnixMilli(), 0},
		{start.Add(3 * time.Minute).UnixMilli(), 3},
		{start.Add(3*time.Minute + time.Second).UnixMilli(), 4},
		// Nothing is later: kadm gives the end.
		{start.Add(time.Hour).UnixMilli(), 10},
	} {
		listed, err := adm.ListOffsetsAfterMilli(ctx, asked.milli, "times")
		if err != nil {
			return err
		}
		offset, _ := listed.Lookup("times", 0)
		if offset.Err != nil || offset.Offset != asked.offset {
			return fmt.Errorf("%d wanted, %v found", asked.offset, offset)
		}
	}
	starts, err := adm.ListStartOffsets(ctx, "times")
	if err != nil {
		return err
	}
	ends, err := adm.ListEndOffsets(ctx, "times")
	if err != nil {
		return err
	}
	largest, err := adm.ListMaxTimestampOffsets(ctx, "times")
	if err != nil {
		return err
	}
	first, _ := starts.Lookup("times", 0)
	end, _ := ends.Lookup("times", 0)
	max, _ := largest.Lookup("times", 0)
	return check(first.Offset == 0 && end.Offset == 10 && max.Offset == 9,
		"start %d, end %d, largest timestamp at %d", first.Offset, end.Offset, max.Offset)
}
