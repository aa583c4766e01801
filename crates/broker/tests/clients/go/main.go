// What franz-go can do with a broker: `client BOOTSTRAP [FEATURE...]` prints one line for each
// feature: `FEATURE ok`, `FEATURE cannot: REASON` or `FEATURE failed: REASON`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 40 * time.Second

var bootstrap string

// cannot is the error of a feature that the client does not have.
type cannot string

func (c cannot) Error() string { return string(c) }

type feature struct {
	name string
	try  func(ctx context.Context) error
}

func features() []feature {
	list := []feature{}
	for _, codec := range codecs {
		list = append(list, feature{"codec-" + codec.name, func(ctx context.Context) error {
			return codecRoundTrip(ctx, codec)
		}})
	}
	return append(list,
		feature{"headers", headers},
		feature{"large-record", largeRecord},
		feature{"too-large-refused", tooLarge},
		feature{"idempotent", idempotent},
		feature{"transactions", transactions},
		feature{"transaction-offsets", transactionOffsets},
		feature{"transaction-fencing", transactionFencing},
		feature{"group-rebalance", func(ctx context.Context) error { return groupRebalance(ctx, false) }},
		feature{"group-resume", func(ctx context.Context) error { return groupResume(ctx, false) }},
		feature{"static-member", staticMember},
		feature{"new-group-rebalance", func(ctx context.Context) error { return groupRebalance(ctx, true) }},
		feature{"new-group-resume", func(ctx context.Context) error { return groupResume(ctx, true) }},
		feature{"offsets-by-time", offsetsByTime},
		feature{"delete-records", deleteRecords},
		feature{"admin-topics", adminTopics},
		feature{"admin-configs", adminConfigs},
		feature{"admin-groups", adminGroups},
		feature{"admin-cluster", adminCluster},
	)
}

func main() {
	bootstrap = os.Args[1]
	for _, one := range features() {
		if len(os.Args) > 2 && !slices.Contains(os.Args[2:], one.name) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := one.try(ctx)
		cancel()
		var not cannot
		switch {
		case err == nil:
			fmt.Println(one.name, "ok")
		case errors.As(err, &not):
			fmt.Println(one.name, "cannot:", string(not))
		default:
			fmt.Println(one.name, "failed:", strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
}

func client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, options...)...)
}

// admin makes a client of its own for requests that no consumer or producer sends.
func admin() (*kadm.Client, error) {
	cl, err := client()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(cl), nil
}

func createTopic(ctx context.Context, topic string, partitions int32, configs map[string]*string) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	_, err = adm.CreateTopic(ctx, partitions, 1, configs, topic)
	return err
}

// produce sends the records one after the other and waits for all of them.
func produce(ctx context.Context, records []*kgo.Record, options ...kgo.Opt) error {
	cl, err := client(options...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.ProduceSync(ctx, records...).FirstErr()
}

func numbered(topic string, count int) []*kgo.Record {
	records := []*kgo.Record{}
	for i := range count {
		records = append(records, &kgo.Record{
			Topic: topic,
			Key:   fmt.Appendf(nil, "key-%d", i),
			Value: value(i),
		})
	}
	return records
}

func value(i int) []byte {
	return []byte(fmt.Sprintf("value-%d ", i) + strings.Repeat("again and ", 20))
}

// read returns the first records of the topic.
func read(ctx context.Context, topic string, count int, options ...kgo.Opt) ([]*kgo.Record, error) {
	cl, err := client(append([]kgo.Opt{
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, options...)...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return poll(ctx, cl, count)
}

func poll(ctx context.Context, cl *kgo.Client, count int) ([]*kgo.Record, error) {
	records := []*kgo.Record{}
	for len(records) < count {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return records, fmt.Errorf("after %d of %d records: %w", len(records), count, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func check(condition bool, format string, arguments ...any) error {
	if condition {
		return nil
	}
	return fmt.Errorf(format, arguments...)
}
