package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func deleteRecords(ctx context.Context) error {
	if err := createTopic(ctx, "delete-records", 1, nil); err != nil {
		return err
	}
	if err := produce(ctx, numbered("delete-records", 20)); err != nil {
		return err
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	until := kadm.Offsets{}
	until.AddOffset("delete-records", 0, 15, -1)
	deleted, err := adm.DeleteRecords(ctx, until)
	if err != nil {
		return err
	}
	answer, _ := deleted.Lookup("delete-records", 0)
	if answer.Err != nil || answer.LowWatermark != 15 {
		return fmt.Errorf("the log starts at %d: %v", answer.LowWatermark, answer.Err)
	}
	found, err := read(ctx, "delete-records", 5)
	if err != nil {
		return err
	}
	return check(found[0].Offset == 15, "the first record is at %d", found[0].Offset)
}

func adminTopics(ctx context.Context) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	day := "86400000"
	made, err := adm.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &day}, "made")
	if err != nil {
		return err
	}
	if made.NumPartitions != 2 || made.ReplicationFactor != 1 {
		return fmt.Errorf("made with %d partitions", made.NumPartitions)
	}
	_, err = adm.CreateTopic(ctx, 2, 1, nil, "made")
	if !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("made again: %v", err)
	}
	if _, err := adm.UpdatePartitions(ctx, 5, "made"); err != nil {
		return err
	}
	listed, err := adm.ListTopics(ctx, "made")
	if err != nil {
		return err
	}
	if count := len(listed["made"].Partitions); count != 5 {
		return fmt.Errorf("%d partitions after they became five", count)
	}
	if _, err := adm.DeleteTopic(ctx, "made"); err != nil {
		return err
	}
	_, err = adm.DeleteTopic(ctx, "made")
	return check(errors.Is(err, kerr.UnknownTopicOrPartition), "deleted again: %v", err)
}

func adminConfigs(ctx context.Context) error {
	if err := createTopic(ctx, "configs", 1, nil); err != nil {
		return err
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	hour, half := "3600000", "1800000"
	config := func() (string, error) {
		described, err := adm.DescribeTopicConfigs(ctx, "configs")
		if err != nil {
			return "", err
		}
		for _, config := range described[0].Configs {
			if config.Key == "retention.ms" {
				return config.MaybeValue(), nil
			}
		}
		return "", errors.New("retention.ms is not described")
	}
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &hour}}
	if _, err := adm.AlterTopicConfigs(ctx, set, "configs"); err != nil {
		return err
	}
	if found, err := config(); err != nil || found != hour {
		return fmt.Errorf("retention.ms is %s: %v", found, err)
	}
	set[0].Value = &half
	if _, err := adm.AlterTopicConfigsState(ctx, set, "configs"); err != nil {
		return err
	}
	if found, err := config(); err != nil || found != half {
		return fmt.Errorf("retention.ms is %s: %v", found, err)
	}
	reset := []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.ms"}}
	if _, err := adm.AlterTopicConfigs(ctx, reset, "configs"); err != nil {
		return err
	}
	if found, err := config(); err != nil || found != "604800000" {
		return fmt.Errorf("retention.ms is %s: %v", found, err)
	}
	described, err := adm.DescribeBrokerConfigs(ctx)
	if err != nil {
		return err
	}
	return check(len(described) == 1 && len(described[0].Configs) > 0, "no configs of the broker")
}

func adminGroups(ctx context.Context) error {
	if err := createTopic(ctx, "groups", 2, nil); err != nil {
		return err
	}
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	in, err := join("groups", "groups", false)
	if err != nil {
		return err
	}
	err = until(ctx, "the member has all", func() bool { return len(in.partitions()) == 2 })
	if err != nil {
		in.leave()
		return err
	}
	described, err := adm.DescribeGroups(ctx, "groups")
	in.leave()
	if err != nil {
		return err
	}
	if one := described["groups"]; one.State != "Stable" || len(one.Members) != 1 {
		return fmt.Errorf("the group is %s with %d members", one.State, len(one.Members))
	}
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	if _, ok := listed["groups"]; !ok {
		return errors.New("the group is not listed")
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("groups", 0, 7, -1)
	offsets.AddOffset("groups", 1, 8, -1)
	if err := adm.CommitAllOffsets(ctx, "groups", offsets); err != nil {
		return err
	}
	if _, err := adm.DeleteOffsets(ctx, "groups", offsets.TopicsSet()); err != nil {
		return err
	}
	if err := adm.CommitAllOffsets(ctx, "groups", offsets); err != nil {
		return err
	}
	fetched, err := adm.FetchOffsets(ctx, "groups")
	if err != nil {
		return err
	}
	if offset, _ := fetched.Lookup("groups", 1); offset.At != 8 {
		return fmt.Errorf("offset %d is committed", offset.At)
	}
	if _, err := adm.DeleteGroup(ctx, "groups"); err != nil {
		return err
	}
	_, err = adm.DeleteGroup(ctx, "groups")
	return check(errors.Is(err, kerr.GroupIDNotFound), "deleted again: %v", err)
}

func adminCluster(ctx context.Context) error {
	adm, err := admin()
	if err != nil {
		return err
	}
	defer adm.Close()
	metadata, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	versions, err := adm.ApiVersions(ctx)
	if err != nil {
		return err
	}
	logs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return err
	}
	return check(len(metadata.Brokers) == 1 && metadata.Cluster != "" && len(versions) == 1 && len(logs) == 1,
		"%d brokers of cluster %q", len(metadata.Brokers), metadata.Cluster)
}
