import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testRewrites } from './rewrites.suite.ts'

testRewrites(createKafkaWorld)
