# run.mk: what is done with a program that is there.

demo: zo
	@./zo demo $(if $(filter short,$(DEMO)),--short)

bench-peers: zo
	@bench/peers/run.sh '$(or $(DATA),../shared/data)' '$(or $(MODELS),../shared/models)' $(ARGS)

install: $(BUILD)/zo $(PLUGIN_HEADER)
	install -D -m 755 $(BUILD)/zo $(DESTDIR)$(PREFIX)/bin/zo
	install -D -m 644 $(PLUGIN_HEADER) $(DESTDIR)$(PREFIX)/include/zo/plugin.h
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	sed '1r make/shell/words.sh' make/shell/zo.bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/zo
	sed '1r make/shell/words.sh' make/shell/_zo >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_zo
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	make/shell/man.sh $(BUILD)/zo >$(DESTDIR)$(PREFIX)/share/man/man1/zo.1
	for file in $(wildcard plots/*.gp) $(wildcard paper_configs/*/*.json); do \
	    install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/zo/$$file || exit 1; done

clean:
	rm -rf build zo python/zo/libzo.so
