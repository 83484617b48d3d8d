// One stream of new samples per page. It reconnects with jitter and says when it is not live; who listens then polls.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

// Calls onSamples([{id, times, values}]) and onLamp("live" | "stale" | "off"); returns {start, stop}.
export function liveSamples(resource, onSamples, onLamp) {
  let stream = null;
  let timer = 0;
  let wait = FIRST_WAIT_MS;
  let newest = 0;

  function open() {
    const since = newest ? `&since=${newest}` : "";
    stream = new EventSource(`/api/v1/live?resource=${encodeURIComponent(resource)}${since}`);
    stream.addEventListener("open", () => {
      wait = FIRST_WAIT_MS;
      onLamp("live");
    });
    stream.addEventListener("samples", (event) => {
      newest = Number(event.lastEventId) || newest;
      onSamples(JSON.parse(event.data).series);
    });
    stream.addEventListener("end", () => location.reload());
    stream.addEventListener("error", () => {
      close();
      onLamp("stale");
      timer = setTimeout(open, wait * (0.5 + Math.random()));
      wait = Math.min(LONGEST_WAIT_MS, wait * 2);
    });
  }

  function close() {
    clearTimeout(timer);
    stream?.close();
    stream = null;
  }

  return {
    start() {
      if (!stream && !timer) open();
    },
    stop() {
      close();
      timer = 0;
      onLamp("off");
    },
  };
}
