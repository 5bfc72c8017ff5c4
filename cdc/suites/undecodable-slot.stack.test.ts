import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testUndecodableSlot } from './undecodable-slot.suite.ts'

testUndecodableSlot(createKafkaWorld)
