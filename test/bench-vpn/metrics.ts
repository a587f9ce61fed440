/** What is measured of a system in one round. */
export const METRICS = [
  { key: 'tcp1_mbps', title: 'TCP 1 stream', unit: 'Mbit/s', better: 'more', digits: 0 },
  { key: 'tcp4_mbps', title: 'TCP 4 streams', unit: 'Mbit/s', better: 'more', digits: 0 },
  { key: 'udp1200_pps', title: 'UDP 1200 B', unit: '/s', better: 'more', digits: 0 },
  { key: 'udp64_pps', title: 'UDP 64 B', unit: '/s', better: 'more', digits: 0 },
  { key: 'tcp1_retransmits', title: 'retransmits', unit: 'TCP 1', better: 'less', digits: 0 },
  { key: 'ping_idle_p50_ms', title: 'ping idle p50', unit: 'ms', better: 'less', digits: 3 },
  { key: 'ping_idle_p99_ms', title: 'idle p99', unit: 'ms', better: 'less', digits: 3 },
  { key: 'ping_load_p50_ms', title: 'ping loaded p50', unit: 'ms', better: 'less', digits: 2 },
  { key: 'ping_load_p99_ms', title: 'loaded p99', unit: 'ms', better: 'less', digits: 2 },
  { key: 'cpu_s_per_gb', title: 'CPU, both ends', unit: 's/GB', better: 'less', digits: 2 },
  { key: 'rss_mb', title: 'memory', unit: 'MB', better: 'less', digits: 0 },
] as const;

export type Metric = (typeof METRICS)[number]['key'];
export type MetricInfo = (typeof METRICS)[number];

/** The figures of one round; one that could not be taken is missing. */
export type Figures = Partial<Record<Metric, number>>;

/** The metrics of the JSON form, which others read; its keys are added to, never renamed. */
export const JSON_METRICS: readonly Metric[] = [
  'tcp1_mbps',
  'tcp4_mbps',
  'udp1200_pps',
  'udp64_pps',
  'ping_idle_p50_ms',
  'ping_load_p99_ms',
  'cpu_s_per_gb',
  'rss_mb',
];
