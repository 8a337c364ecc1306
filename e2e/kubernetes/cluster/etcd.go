package main

import (
	"net/url"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// newEtcdCommand runs one etcd member that never syncs its files: a test's cluster does not outlive its machine.
func newEtcdCommand() *cobra.Command {
	var folder, client, peer string
	command := &cobra.Command{
		Use: "etcd",
		RunE: func(command *cobra.Command, _ []string) error {
			clientURL, err := url.Parse(client)
			if err != nil {
				return err
			}
			peerURL, err := url.Parse(peer)
			if err != nil {
				return err
			}
			config := embed.NewConfig()
			config.Dir = folder
			config.UnsafeNoFsync = true
			config.LogLevel = "warn"
			config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
			config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
			config.InitialCluster = config.InitialClusterFromName(config.Name)
			server, err := embed.StartEtcd(config)
			if err != nil {
				return err
			}
			return <-server.Err()
		},
	}
	command.Flags().StringVar(&folder, "data-dir", "", "folder of the store")
	command.Flags().StringVar(&client, "listen-client-urls", "http://127.0.0.1:2379", "address for clients")
	command.Flags().StringVar(&peer, "listen-peer-urls", "http://127.0.0.1:2380", "address for peers")
	return command
}
