import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testInvalidation } from './invalidation.suite.ts'

testInvalidation(createKafkaWorld)
