package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a consumer of a group that keeps polling and knows what it is assigned.
type member struct {
	cl       *kgo.Client
	mutex    sync.Mutex
	assigned map[int32]bool
	stop     context.CancelFunc
	stopped  chan struct{}
}

// groupContext opts in to KIP-848, which franz-go has behind this key.
func groupContext(newProtocol bool) context.Context {
	ctx := context.Background()
	if newProtocol {
		ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true)
	}
	return ctx
}

func prefix(newProtocol bool) string {
	if newProtocol {
		return "new-"
	}
	return ""
}

func join(group, topic string, newProtocol bool, options ...kgo.Opt) (*member, error) {
	m := &member{assigned: map[int32]bool{}, stopped: make(chan struct{})}
	set := func(value bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, partition := range changed[topic] {
				m.assigned[partition] = value
			}
		}
	}
	cl, err := client(append([]kgo.Opt{
		kgo.WithContext(groupContext(newProtocol)),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(set(true)),
		kgo.OnPartitionsRevoked(set(false)),
		kgo.OnPartitionsLost(set(false)),
	}, options...)...)
	if err != nil {
		return nil, err
	}
	m.cl = cl
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.stopped)
		for ctx.Err() == nil {
			cl.PollFetches(ctx)
		}
	}()
	return m, nil
}

func (m *member) partitions() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	partitions := []int32{}
	for partition, assigned := range m.assigned {
		if assigned {
			partitions = append(partitions, partition)
		}
	}
	slices.Sort(partitions)
	return partitions
}

func (m *member) leave() {
	m.stop()
	<-m.stopped
	m.cl.Close()
}

// until looks again and again whether this holds.
func until(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %s", patience, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

func groupRebalance(ctx context.Context, newProtocol bool) error {
	topic := prefix(newProtocol) + "rebalance"
	if err := createTopic(ctx, topic, 4, nil); err != nil {
		return err
	}
	first, err := join(topic, topic, newProtocol)
	if err != nil {
		return err
	}
	defer first.leave()
	if err := until(ctx, "one member has all", func() bool { return len(first.partitions()) == 4 }); err != nil {
		return err
	}
	second, err := join(topic, topic, newProtocol)
	if err != nil {
		return err
	}
	err = until(ctx, "two members have two each", func() bool {
		return len(first.partitions()) == 2 && len(second.partitions()) == 2
	})
	second.leave()
	if err != nil {
		return err
	}
	return until(ctx, "the one that is left has all", func() bool { return len(first.partitions()) == 4 })
}

func groupResume(ctx context.Context, newProtocol bool) error {
	topic := prefix(newProtocol) + "resume"
	if err := createTopic(ctx, topic, 1, nil); err != nil {
		return err
	}
	if err := produce(ctx, numbered(topic, 100)); err != nil {
		return err
	}
	consume := func(count int) ([]*kgo.Record, error) {
		cl, err := client(
			kgo.WithContext(groupContext(newProtocol)),
			kgo.ConsumerGroup(topic),
			kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.DisableAutoCommit(),
		)
		if err != nil {
			return nil, err
		}
		defer cl.Close()
		records, err := poll(ctx, cl, count)
		if err != nil {
			return nil, err
		}
		return records, cl.CommitRecords(ctx, records[:count]...)
	}
	if _, err := consume(40); err != nil {
		return err
	}
	records, err := consume(60)
	if err != nil {
		return err
	}
	return check(bytes.Equal(records[0].Value, value(40)), "it went on at %d", records[0].Offset)
}

func staticMember(ctx context.Context) error {
	if err := createTopic(ctx, "static", 4, nil); err != nil {
		return err
	}
	start := func(instance string) (*member, error) {
		return join("static", "static", false, kgo.InstanceID(instance))
	}
	first, err := start("one")
	if err != nil {
		return err
	}
	defer first.leave()
	second, err := start("two")
	if err != nil {
		return err
	}
	err = until(ctx, "two members have two each", func() bool {
		return len(first.partitions()) == 2 && len(second.partitions()) == 2
	})
	before := second.partitions()
	generation := generationOf(first.cl)
	// A static member does not leave when it is closed.
	second.leave()
	if err != nil {
		return err
	}
	again, err := start("two")
	if err != nil {
		return err
	}
	defer again.leave()
	err = until(ctx, "the member is back", func() bool { return len(again.partitions()) == 2 })
	if err != nil {
		return err
	}
	same := slices.Equal(before, again.partitions()) && generationOf(first.cl) == generation
	return check(same, "%v became %v, generation %d became %d", before, again.partitions(),
		generation, generationOf(first.cl))
}

func generationOf(cl *kgo.Client) int32 {
	_, generation := cl.GroupMetadata()
	return generation
}
