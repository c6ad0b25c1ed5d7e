# run.mk: what is done with a program that is there.

demo: zo
	@./zo demo $(if $(filter short,$(DEMO)),--short)

bench-peers: zo
	@bench/peers/run.sh '$(or $(DATA),../shared/data)' '$(or $(MODELS),../shared/models)' $(ARGS)

# A tree below PREFIX. Of a build for other processors (MARCH) the program is a shared library in lib/zo.
PROGRAM := $(BUILD)/zo$(if $(SHARED),-shared)
THERE = $(DESTDIR)$(PREFIX)
install: $(PROGRAM) $(PLUGIN_HEADER)
	install -D -m 755 $(PROGRAM) $(THERE)/bin/zo
	$(if $(SHARED),install -D -m 644 $(BUILD)/libzo.so $(THERE)/lib/zo/libzo.so)
	install -D -m 644 $(PLUGIN_HEADER) $(THERE)/include/zo/plugin.h
	install -d $(THERE)/share/bash-completion/completions $(THERE)/share/zsh/site-functions $(THERE)/share/man/man1
	sed '1r make/shell/words.sh' make/shell/zo.bash >$(THERE)/share/bash-completion/completions/zo
	sed '1r make/shell/words.sh' make/shell/_zo >$(THERE)/share/zsh/site-functions/_zo
	LD_LIBRARY_PATH=$(if $(SHARED),$(BUILD):)$$LD_LIBRARY_PATH make/shell/man.sh $(PROGRAM) >$(THERE)/share/man/man1/zo.1
	for file in $(wildcard plots/*.gp paper_configs/*/*.json) $(filter-out %.so,$(wildcard examples/*/*)); do \
	    install -D -m 644 $$file $(THERE)/share/zo/$$file || exit 1; done
	for file in README.md CHANGELOG.md LICENSE $(wildcard docs/*.md); do \
	    install -D -m 644 $$file $(THERE)/share/doc/zo/$$file || exit 1; done

clean:
	rm -rf build zo python/zo/libzo.so python/zo/VERSION
