package simulator

import (
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
)

// QueryPerfResponse is written by hand: ten thousand guests are a hundred megabytes of XML a minute.
type QueryPerfResponse struct {
	Inner []byte `xml:",innerxml"`
}

type queryPerfBody struct {
	Res    *QueryPerfResponse
	Fault_ *soap.Fault
}

func (b *queryPerfBody) Fault() *soap.Fault { return b.Fault_ }

// write appends what the vendor's schema calls PerfEntityMetric or PerfEntityMetricCSV; without samples it is left out.
func (q *query) write(out []byte) []byte {
	if len(q.times) == 0 {
		return out
	}
	kind, series := "PerfEntityMetric", "PerfMetricIntSeries"
	if q.csv {
		kind, series = "PerfEntityMetricCSV", "PerfMetricSeriesCSV"
	}
	out = append(out, `<returnval xsi:type="`+kind+`"><entity type="`+q.entity.Type+`">`+q.entity.Value+`</entity>`...)
	out = q.writeTimes(out)
	spoil := spoiledCounters()
	for _, id := range q.metrics {
		out = append(out, `<value xsi:type="`+series+`"><id><counterId>`...)
		out = strconv.AppendInt(out, int64(id.CounterId), 10)
		out = append(out, `</counterId><instance>`+escaped(id.Instance)+`</instance></id>`...)
		at := valuesOf(q.entity, id)
		for i, t := range q.times {
			if !q.csv || i == 0 {
				out = append(out, `<value>`...)
			} else {
				out = append(out, ',')
			}
			if text, ok := spoil[id.CounterId]; ok {
				out = append(out, text...)
			} else {
				out = strconv.AppendInt(out, at(t), 10)
			}
			if !q.csv || i == len(q.times)-1 {
				out = append(out, `</value>`...)
			}
		}
		out = append(out, `</value>`...)
	}
	return append(out, `</returnval>`...)
}

func (q *query) writeTimes(out []byte) []byte {
	if q.csv {
		parts := make([]string, 0, 2*len(q.times))
		for _, t := range q.times {
			parts = append(parts, strconv.Itoa(int(q.interval)), t.Format(time.RFC3339))
		}
		return append(out, `<sampleInfoCSV>`+strings.Join(parts, ",")+`</sampleInfoCSV>`...)
	}
	for _, t := range q.times {
		out = append(out, `<sampleInfo><timestamp>`...)
		out = t.AppendFormat(out, time.RFC3339)
		out = append(out, `</timestamp><interval>`...)
		out = strconv.AppendInt(out, int64(q.interval), 10)
		out = append(out, `</interval></sampleInfo>`...)
	}
	return out
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text)
}

// spoiledCounters returns what the knobs put in place of values, by counter.
func spoiledCounters() map[int32]string {
	set := knobs()
	if len(set.NaN)+len(set.Negative) == 0 {
		return nil
	}
	spoil := make(map[int32]string)
	for key := range counters {
		info := counters[key]
		name := counterName(&info)
		if listed(set.NaN, name) {
			spoil[key] = "NaN"
		}
		if listed(set.Negative, name) {
			spoil[key] = "-1"
		}
	}
	return spoil
}

func listed(list []string, name string) bool {
	for _, entry := range list {
		if entry == name {
			return true
		}
	}
	return false
}
