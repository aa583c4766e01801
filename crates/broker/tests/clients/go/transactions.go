package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func transactions(ctx context.Context) error {
	if err := createTopic(ctx, "transactions", 1, nil); err != nil {
		return err
	}
	cl, err := client(kgo.TransactionalID("transactions"))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		if err := cl.ProduceSync(ctx, numbered("transactions", 10)...).FirstErr(); err != nil {
			return err
		}
		if err := cl.EndTransaction(ctx, end); err != nil {
			return err
		}
	}
	if _, err := read(ctx, "transactions", 30); err != nil {
		return err
	}
	committed, err := read(ctx, "transactions", 20, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	// Three transactions of ten records, each with its marker behind it.
	return check(len(committed) == 20 && committed[10].Offset == 22,
		"%d committed, the eleventh at %d", len(committed), committed[10].Offset)
}

func transactionOffsets(ctx context.Context) error {
	for _, topic := range []string{"copy-from", "copy-to"} {
		if err := createTopic(ctx, topic, 1, nil); err != nil {
			return err
		}
	}
	if err := produce(ctx, numbered("copy-from", 50)); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap),
		kgo.TransactionalID("copy"),
		kgo.ConsumerGroup("copy"),
		kgo.ConsumeTopics("copy-from"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	copied, aborted := 0, false
	for copied < 50 {
		fetches := session.PollRecords(ctx, 10)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		records := fetches.Records()
		for _, record := range records {
			session.Produce(ctx, &kgo.Record{Topic: "copy-to", Value: record.Value}, nil)
		}
		// The second time round it is aborted, and the session goes back to what was committed.
		end := kgo.TryCommit
		if copied > 0 && !aborted {
			end, aborted = kgo.TryAbort, true
		}
		committed, err := session.End(ctx, end)
		if err != nil {
			return err
		}
		if committed {
			copied += len(records)
		}
	}
	found, err := read(ctx, "copy-to", 50, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	for i, record := range found {
		if string(record.Value) != string(value(i)) {
			return fmt.Errorf("record %d was copied as %q", i, record.Value[:10])
		}
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	offsets, err := adm.FetchOffsets(ctx, "copy")
	if err != nil {
		return err
	}
	offset, _ := offsets.Lookup("copy-from", 0)
	return check(offset.At == 50, "offset %d is committed", offset.At)
}

func transactionFencing(ctx context.Context) error {
	if err := createTopic(ctx, "fencing", 1, nil); err != nil {
		return err
	}
	begin := func() (*kgo.Client, error) {
		cl, err := client(kgo.TransactionalID("fencing"))
		if err != nil {
			return nil, err
		}
		// Until the transaction of the older producer has been aborted, Kafka and we answer
		// CONCURRENT_TRANSACTIONS, on which this client gives up.
		err = until(ctx, "the older transaction is aborted", func() bool {
			_, _, err := cl.ProducerID(ctx)
			return err == nil
		})
		if err != nil {
			return cl, err
		}
		if err := cl.BeginTransaction(); err != nil {
			return cl, err
		}
		return cl, cl.ProduceSync(ctx, numbered("fencing", 1)...).FirstErr()
	}
	older, err := begin()
	if err != nil {
		return err
	}
	defer older.Close()
	newer, err := begin()
	if err != nil {
		return err
	}
	defer newer.Close()
	if err := newer.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	err = older.ProduceSync(ctx, numbered("fencing", 1)...).FirstErr()
	if err == nil {
		err = older.EndTransaction(ctx, kgo.TryCommit)
	}
	fenced := errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
	return check(fenced, "the older producer was told %v", err)
}
