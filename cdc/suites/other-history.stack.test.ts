import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testOtherHistory } from './other-history.suite.ts'

testOtherHistory(createKafkaWorld)
