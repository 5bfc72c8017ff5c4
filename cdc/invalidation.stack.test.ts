import { testInvalidation } from './invalidation.suite.ts'
import { createKafkaWorld } from './kafka-world.fixture.ts'

testInvalidation(createKafkaWorld)
