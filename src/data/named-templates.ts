/**
 * Small Jinja sources for well-known chat formats, for models that bring none and adapters trained with another.
 * They are this project's own wording of each format; the model's own template, where it has one, is the better choice.
 * A system turn goes where the format has a place for it, else in front of the first user turn.
 */

/** Sets `system` (text or '') and `turns` (the rest); refuses roles that do not alternate, as these formats do. */
const SPLIT_SYSTEM = String.raw`{%- if messages[0]['role'] == 'system' -%}
{%- set system = messages[0]['content'] | trim -%}{%- set turns = messages[1:] -%}
{%- else -%}
{%- set system = '' -%}{%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Expected the roles user and assistant in turn, after at most one system message') }}
{%- endif -%}
{%- endfor -%}`;

const TEMPLATES = {
  chatml: String.raw`{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}`,

  llama2: String.raw`${SPLIT_SYSTEM}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{{ bos_token + '[INST] ' }}
{%- if loop.first and system -%}{{ '<<SYS>>\n' + system + '\n<</SYS>>\n\n' }}{%- endif -%}
{{ message['content'] | trim + ' [/INST]' }}
{%- else -%}
{{ ' ' + message['content'] | trim + ' ' + eos_token }}
{%- endif -%}
{%- endfor -%}`,

  llama3: String.raw`{{ bos_token }}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}`,

  mistral: String.raw`${SPLIT_SYSTEM}{{ bos_token }}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{{ '[INST] ' }}
{%- if loop.first and system -%}{{ system + '\n\n' }}{%- endif -%}
{{ message['content'] + ' [/INST]' }}
{%- else -%}
{{ message['content'] + eos_token }}
{%- endif -%}
{%- endfor -%}`,

  gemma: String.raw`${SPLIT_SYSTEM}{{ bos_token }}
{%- for message in turns -%}
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' }}
{%- if loop.first and system -%}{{ system + '\n\n' }}{%- endif -%}
{{ message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}`,

  phi3: String.raw`{%- for message in messages -%}
{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- else -%}{{ eos_token }}{%- endif -%}`,

  zephyr: String.raw`{%- for message in messages -%}
{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%}`,

  alpaca: String.raw`${SPLIT_SYSTEM}
{{- system if system else 'Below is an instruction that describes a task. Write a response that appropriately completes the request.' -}}
{{ '\n\n' }}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{{ '### Instruction:\n' + message['content'] + '\n\n' }}
{%- else -%}
{{ '### Response:\n' + message['content'] + eos_token + '\n\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%}`,

  vicuna: String.raw`${SPLIT_SYSTEM}
{{- system if system else "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions." -}}
{{ ' ' }}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{{ 'USER: ' + message['content'] + ' ' }}
{%- else -%}
{{ 'ASSISTANT: ' + message['content'] + eos_token }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}`,
} as const;

export type ChatTemplateName = keyof typeof TEMPLATES;

/** Names that `chatTemplate` accepts, sorted. */
export const chatTemplateNames: readonly ChatTemplateName[] = (Object.keys(TEMPLATES) as ChatTemplateName[]).sort();

/** The source of a named template, or null for a name that is none. */
export function namedTemplate(name: string): string | null {
  return Object.hasOwn(TEMPLATES, name) ? TEMPLATES[name as ChatTemplateName] : null;
}
