package simulator

import (
	"crypto/tls"
	"flag"
	"io/ioutil"
	"log"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/types"
)

// Options are the command line: which server, how large, and where it listens.
type Options struct {
	Listen, Certificate, Key, User, PasswordFile, State, UUID, Version string
	ESX, VSAN                                                          bool
	Number                                                             int
	IdleSeconds                                                        float64
	model                                                              *Model
	login                                                              *url.Userinfo
}

// ParseOptions reads the command line.
func ParseOptions() *Options {
	o := &Options{model: VPX()}
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address to listen on; the port goes to standard output")
	flag.StringVar(&o.Certificate, "certificate", "", "PEM file of the TLS certificate")
	flag.StringVar(&o.Key, "key", "", "PEM file of its key")
	flag.StringVar(&o.User, "user", "administrator@vsphere.local", "who may log in")
	flag.StringVar(&o.PasswordFile, "password-file", "", "file with the password")
	flag.StringVar(&o.State, "state", "", "file that the inventory is loaded from if it exists, and saved to on command")
	flag.StringVar(&o.UUID, "uuid", uuid.New().String(), "instance UUID of the server")
	flag.IntVar(&o.Number, "number", 0, "of 0 to 255, which sets its MAC addresses apart from other servers'")
	flag.StringVar(&o.Version, "version", "", "version that the server claims")
	flag.BoolVar(&o.ESX, "esx", false, "a standalone ESXi host instead of a vCenter")
	flag.BoolVar(&o.VSAN, "vsan", false, "the clusters have vSAN")
	flag.Float64Var(&o.IdleSeconds, "idle-seconds", 1800, "sessions end when idle for so long")
	m := o.model
	flag.IntVar(&m.Datacenter, "dc", m.Datacenter, "datacenters")
	flag.IntVar(&m.Folder, "folder", m.Folder, "how many of them lie in folders")
	flag.IntVar(&m.Cluster, "cluster", m.Cluster, "clusters in each datacenter")
	flag.IntVar(&m.ClusterHost, "host", m.ClusterHost, "hosts in each cluster")
	flag.IntVar(&m.Host, "standalone", m.Host, "hosts outside clusters in each datacenter")
	flag.IntVar(&m.Machine, "vm", m.Machine, "guests in each cluster, vApp and on each standalone host")
	flag.IntVar(&m.Pool, "pool", m.Pool, "resource pools in each cluster")
	flag.IntVar(&m.App, "app", m.App, "vApps in each cluster")
	flag.IntVar(&m.Pod, "pod", m.Pod, "clusters of datastores in each datacenter")
	flag.IntVar(&m.Datastore, "ds", m.Datastore, "datastores in each datacenter")
	flag.IntVar(&m.Portgroup, "pg", m.Portgroup, "distributed port groups in each datacenter")
	flag.Parse()
	if o.ESX {
		host := ESX()
		host.Machine, host.Datastore = m.Machine, m.Datastore
		o.model = host
	}
	return o
}

// Simulate makes or loads the inventory and serves it until the process is ended.
func Simulate(o *Options) error {
	began := time.Now()
	password, err := ioutil.ReadFile(o.PasswordFile)
	if err != nil {
		return err
	}
	o.login = url.UserPassword(o.User, strings.TrimSpace(string(password)))
	SessionIdleTimeout = seconds(o.IdleSeconds)
	if err := populate(o); err != nil {
		return err
	}
	counterByName = counterKeys(Map.Get(*Map.content().PerfManager).(*perfManager).PerfCounter)
	options := Map.OptionManager()
	options.Setting = append(options.Setting, &types.OptionValue{Key: maxQueryMetricsKey})
	setKnobs(new(Knobs))
	certificate, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return err
	}
	log.Printf("ready after %.1f s", time.Since(began).Seconds())
	_, _ = os.Stdout.WriteString(listener.Addr().String() + "\n")
	return serve(o, tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
}

func populate(o *Options) error {
	// Almost nothing that is made here is garbage: looking for it thrice as rarely halves the time of 10,000 guests.
	defer debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	if o.State != "" {
		if _, err := os.Stat(o.State); err == nil {
			return loadState(o)
		}
	}
	history.closed = true
	if err := o.model.Create(); err != nil {
		return err
	}
	furnish(o)
	history.closed = false
	return nil
}
