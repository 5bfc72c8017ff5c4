-- https://github.com/wg/wrk/blob/master/SCRIPTING
done = function(summary, latency, requests)
  local failed = summary.errors
  print(string.format('{"requests":%d,"errors":%d,"seconds":%.6f,"p50":%.6f,"p99":%.6f}',
    summary.requests,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
