export { RingConsumer } from './consumer.ts';
export { createRing, type RingMemory } from './layout.ts';
export { RingProducer } from './producer.ts';
