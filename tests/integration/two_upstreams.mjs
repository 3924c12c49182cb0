// Two upstreams for tests of routing: a mock behind the instance "openai", which takes every name,
// and one behind the instance "qwen", which claims its models.
import { Mock, UPSTREAM_KEY, startGateway, stopAll } from './helper.mjs';

export const QWEN_KEY = 'sk-qwen-3c9d17ab52';

export async function startTwoUpstreams() {
    const openai = await Mock.start();
    const qwen = await Mock.start();
    return {
        openai,
        qwen,
        stop: () => stopAll(openai, qwen),

        // Runs body(gateway) with fresh mocks and a gateway of its own.
        async using(options, body) {
            openai.reset();
            qwen.reset();
            const env = {
                OPENAI_API_KEY: UPSTREAM_KEY,
                OPENAI_BASE_URL: openai.base,
                DASHSCOPE_API_KEY: QWEN_KEY,
                DASHSCOPE_BASE_URL: `${qwen.origin()}/compatible-mode/v1`,
            };
            const gateway = await startGateway({ ...options, env: { ...env, ...options.env } });
            try {
                await body(gateway);
            } finally {
                await gateway.stop();
            }
        },
    };
}
